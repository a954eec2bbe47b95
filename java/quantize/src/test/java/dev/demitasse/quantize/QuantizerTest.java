package dev.demitasse.quantize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class QuantizerTest {
    @TempDir
    Path folder = Path.of("");

    /** A model of one layer whose rows have 256 columns, in F32. */
    private Path model() {
        Path f32 = folder.resolve("f32.gguf");
        if (!Files.exists(f32)) {
            Quantizer.quantize(Golden.type("F16"), f32, QuantizeOptions.of(WeightMix.F32));
        }
        return f32;
    }

    @ParameterizedTest
    @EnumSource
    void everyMixGivesAModelThatLoadsAndThePlanToldItsSize(WeightMix mix) throws IOException {
        Path out = folder.resolve("out.gguf");
        QuantizeOptions options = QuantizeOptions.of(mix);
        List<TensorSummary> plan;
        try (Quantizer quantizer = new Quantizer(model(), options)) {
            plan = quantizer.plan();
        }
        List<TensorSummary> written = Quantizer.quantize(model(), out, options);
        try (Gguf file = Gguf.open(out)) {
            assertThat(file.metadata().integer("general.file_type")).isEqualTo(mix.fileType());
            assertThat(file.tensors().stream().map(GgufTensor::type)).containsAll(List.of(mix.base()));
            assertThat(written.stream().map(TensorSummary::to))
                    .containsExactlyElementsOf(
                            file.tensors().stream().map(GgufTensor::type).toList());
            assertThat(plan.stream().map(TensorSummary::bytes))
                    .containsExactlyElementsOf(file.tensors().stream()
                            .map(t -> t.data().byteSize())
                            .toList());
        }
        assertThat(written)
                .allSatisfy(tensor -> assertThat(tensor.relativeError()).isBetween(0.0, 0.35));
        try (Model model =
                Model.load(out, ModelOptions.DEFAULT.withBackend("reference").withContextLength(16))) {
            int[] seen = new int[1];
            model.evaluate(new int[] {1, 2, 3}, 0, (position, logits) -> seen[0]++);
            assertThat(seen[0]).isEqualTo(3);
        }
        assertThat(folder.toFile().list()).containsExactlyInAnyOrder("f32.gguf", "out.gguf"); // nothing partial
    }

    @Test
    void theSameBytesComeWithAnyNumberOfThreads() throws IOException {
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q4_K_M);
        byte[] one = bytes("one.gguf", options.withThreads(1));
        assertThat(bytes("five.gguf", options.withThreads(5))).isEqualTo(one);
    }

    private byte[] bytes(String name, QuantizeOptions options) throws IOException {
        Path out = folder.resolve(name);
        Quantizer.quantize(model(), out, options);
        return Files.readAllBytes(out);
    }

    @Test
    void whatIsQuantizedAlreadyIsQuantizedAgainOnlyWhenAsked() {
        Path out = folder.resolve("out.gguf");
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q4_0);
        assertThatThrownBy(() -> Quantizer.quantize(Golden.type("Q8_0"), out, options))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("--requantize");
        assertThat(out).doesNotExist();
        Quantizer.quantize(Golden.type("Q8_0"), out, options.withRequantize(true));
        assertThat(out).exists();
    }

    @Test
    void tensorsThatKeepTheirTypeKeepTheirBytes() {
        Path out = folder.resolve("out.gguf");
        Quantizer.quantize(
                Golden.type("Q4_0"), out, QuantizeOptions.of(WeightMix.Q4_0).withPure(true));
        try (Gguf before = Gguf.open(Golden.type("Q4_0"));
                Gguf after = Gguf.open(out)) {
            for (GgufTensor tensor : before.tensors()) {
                GgufTensor same = Objects.requireNonNull(after.tensor(tensor.name()));
                assertThat(same.data().mismatch(tensor.data())).isEqualTo(-1);
            }
        }
    }

    @Test
    void nothingOfTheUsersIsOverwrittenUnasked() throws IOException {
        Path out = folder.resolve("out.gguf");
        Files.writeString(out, "precious");
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q8_0);
        assertThatThrownBy(() -> Quantizer.quantize(model(), out, options))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("exists");
        assertThat(out).hasContent("precious");
        assertThatThrownBy(() -> Quantizer.quantize(model(), model(), options.withOverwrite(true)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("of the input");
        assertThatThrownBy(() -> Quantizer.quantize(model(), folder.resolve("none/out.gguf"), options))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("no folder");
        assertThatThrownBy(() -> Quantizer.quantize(model(), folder, options.withOverwrite(true)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("is a folder");
        Quantizer.quantize(model(), out, options.withOverwrite(true));
        assertThat(Files.size(out)).isGreaterThan(100);
    }

    private static final class Stop extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /** Writes until {@code tensors} are there. */
    private void stopAfter(int tensors, Path out, QuantizeOptions options) {
        int[] seen = new int[1];
        try (Quantizer quantizer = new Quantizer(model(), options)) {
            assertThatThrownBy(() -> quantizer.write(out, (tensor, elements, total) -> {
                        if (++seen[0] == tensors) {
                            throw new Stop();
                        }
                    }))
                    .isInstanceOf(Stop.class);
        }
        assertThat(out).doesNotExist();
    }

    private Path partial(Path out) {
        return out.resolveSibling(out.getFileName() + ".partial");
    }

    @Test
    void aRunThatWasStoppedIsGoneOnWith() throws IOException {
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q4_K_M);
        List<TensorSummary> atOnce = Quantizer.quantize(model(), folder.resolve("whole.gguf"), options);
        byte[] whole = Files.readAllBytes(folder.resolve("whole.gguf"));
        Path out = folder.resolve("out.gguf");
        stopAfter(5, out, options);
        int[] earlier = new int[1];
        List<TensorSummary> tensors;
        try (Quantizer quantizer = new Quantizer(model(), options)) {
            tensors = quantizer.write(out, new Quantizer.Listener() {
                @Override
                public void wrote(TensorSummary tensor, long elements, long total) {}

                @Override
                public void goesOn(int count) {
                    earlier[0] = count;
                }
            });
        }
        assertThat(earlier[0]).isEqualTo(5);
        assertThat(tensors).isEqualTo(atOnce);
        assertThat(tensors).allSatisfy(t -> assertThat(t.relativeError()).isNotNaN());
        assertThat(Files.readAllBytes(out)).isEqualTo(whole);
    }

    @Test
    void whatAPowerFailureTookOfAPartialFileIsWrittenAnew() throws IOException {
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q4_K_M);
        byte[] whole = bytes("whole.gguf", options);
        Path out = folder.resolve("out.gguf");
        for (long damage : new long[] {0, 1000, Files.size(folder.resolve("whole.gguf")) / 8}) {
            stopAfter(5, out, options);
            try (RandomAccessFile file = new RandomAccessFile(partial(out).toFile(), "rw")) {
                file.seek(damage);
                file.write(file.read() ^ 0x55);
            }
            Quantizer.quantize(model(), out, options);
            assertThat(Files.readAllBytes(out)).isEqualTo(whole);
            Files.delete(out);
        }
    }

    @Test
    void aPartialFileOfOtherOptionsIsNotUsed() throws IOException {
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q8_0);
        byte[] whole = bytes("whole.gguf", options);
        Path out = folder.resolve("out.gguf");
        stopAfter(5, out, QuantizeOptions.of(WeightMix.Q4_0));
        Quantizer.quantize(model(), out, options);
        assertThat(Files.readAllBytes(out)).isEqualTo(whole);
    }

    @Test
    void filesOfSomebodyElseWithThoseNamesAreLeftAlone() throws IOException {
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q8_0);
        Path out = folder.resolve("out.gguf");
        Files.writeString(folder.resolve("out.gguf.partial.journal"), ""); // ours: a power failure took its content
        bytes("out.gguf", options);
        Files.delete(out);
        for (String ending : List.of(".partial", ".partial.journal")) {
            Path precious = folder.resolve("out.gguf" + ending);
            Files.writeString(precious, "precious");
            assertThatThrownBy(() -> Quantizer.quantize(model(), out, options))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("out.gguf.partial");
            assertThat(precious).hasContent("precious");
            Files.delete(precious);
        }
    }

    @Test
    void twoRunsDoNotWriteOneFile() {
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q8_0);
        Path out = folder.resolve("out.gguf");
        try (Quantizer quantizer = new Quantizer(model(), options)) {
            quantizer.write(out, (tensor, elements, total) -> {
                if (elements < total) {
                    assertThatThrownBy(() -> Quantizer.quantize(model(), out, options))
                            .isInstanceOf(UsageException.class)
                            .hasMessageContaining("another");
                }
            });
        }
        assertThat(out).exists();
    }

    /** A process that is killed leaves the final name alone, and its successor comes to the same file. */
    @ParameterizedTest
    @ValueSource(doubles = {0, 0.25, 0.75})
    void aKilledProcessLosesNothing(double share) throws Exception {
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q4_K_M);
        byte[] whole = bytes("whole.gguf", options);
        Path out = folder.resolve("out.gguf");
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Slow.class.getName(),
                        model().toString(),
                        out.toString())
                .redirectErrorStream(true)
                .start();
        while (!(Files.exists(partial(out)) && Files.size(partial(out)) > whole.length * share) && process.isAlive()) {
            TimeUnit.MILLISECONDS.sleep(5);
        }
        process.destroyForcibly().waitFor();
        assertThat(partial(out)).exists();
        assertThat(out).doesNotExist();
        Quantizer.quantize(model(), out, options);
        assertThat(Files.readAllBytes(out)).isEqualTo(whole);
        assertThat(partial(out)).doesNotExist();
    }

    /** Quantizes, resting after each tensor. */
    static final class Slow {
        private Slow() {}

        public static void main(String[] arguments) {
            try (Quantizer quantizer = new Quantizer(Path.of(arguments[0]), QuantizeOptions.of(WeightMix.Q4_K_M))) {
                quantizer.write(Path.of(arguments[1]), (tensor, elements, total) -> rest());
            }
        }

        private static void rest() {
            try {
                TimeUnit.MILLISECONDS.sleep(200);
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    @Test
    void aDamagedWeightIsNamed() throws IOException {
        Path damaged = folder.resolve("damaged.gguf");
        Files.copy(model(), damaged);
        try (Gguf file = Gguf.open(damaged);
                RandomAccessFile bytes = new RandomAccessFile(damaged.toFile(), "rw")) {
            long offset = 0;
            for (GgufTensor other : file.tensors()) {
                if (other.name().equals("blk.0.ffn_up.weight")) {
                    break;
                }
                offset += (other.data().byteSize() + 31) / 32 * 32;
            }
            long data = Files.size(damaged)
                    - file.tensors().stream()
                            .mapToLong(t -> (t.data().byteSize() + 31) / 32 * 32)
                            .sum();
            bytes.seek(data + offset);
            bytes.writeInt(Integer.reverseBytes(Float.floatToRawIntBits(Float.NaN)));
        }
        assertThatThrownBy(() ->
                        Quantizer.quantize(damaged, folder.resolve("out.gguf"), QuantizeOptions.of(WeightMix.Q8_0)))
                .hasMessageContaining("blk.0.ffn_up.weight")
                .hasMessageContaining("NaN");
    }

    @Test
    void importanceOfAnotherModelIsRefused() {
        ImportanceMatrix matrix = new ImportanceMatrix(
                Map.of("blk.0.ffn_up.weight", new ImportanceMatrix.Entry(new float[100], new float[] {1})),
                List.of(),
                1,
                512);
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q4_K_M).withImportance(matrix);
        assertThatThrownBy(() -> Quantizer.quantize(model(), folder.resolve("out.gguf"), options))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("another model");
    }

    @Test
    void importanceThatKnowsNoMatrixIsRefused() {
        ImportanceMatrix matrix = new ImportanceMatrix(
                Map.of("other.weight", new ImportanceMatrix.Entry(new float[256], new float[] {1})), List.of(), 1, 512);
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q4_K_M).withImportance(matrix);
        assertThatThrownBy(() -> Quantizer.quantize(model(), folder.resolve("out.gguf"), options))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("knows no matrix");
    }

    /** Columns that no input ever reached weigh nothing, and still hold what they held. */
    @Test
    void columnsWithoutInputsAreEncodedToo() {
        float[] half = new float[256];
        Arrays.fill(half, 128, 256, 1e30f);
        for (float[] means : new float[][] {new float[256], half}) {
            ImportanceMatrix matrix = new ImportanceMatrix(
                    Map.of("blk.0.ffn_up.weight", new ImportanceMatrix.Entry(means, new float[] {1e-30f})),
                    List.of(),
                    1,
                    512);
            QuantizeOptions options =
                    QuantizeOptions.of(WeightMix.Q4_K_M).withImportance(matrix).withOverwrite(true);
            assertThat(Quantizer.quantize(model(), folder.resolve("out.gguf"), options))
                    .allSatisfy(tensor -> assertThat(tensor.relativeError()).isLessThan(0.15));
        }
    }

    @Test
    void aFileThatComesToBeMeanwhileIsNotReplaced() {
        Path out = folder.resolve("out.gguf");
        try (Quantizer quantizer = new Quantizer(model(), QuantizeOptions.of(WeightMix.Q8_0))) {
            assertThatThrownBy(() -> quantizer.write(out, (tensor, elements, total) -> create(out)))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("come to be");
        }
        assertThat(out).hasContent("precious");
        assertThat(partial(out)).exists();
    }

    private static void create(Path path) {
        try {
            Files.writeString(path, "precious");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void threadsHaveBounds() {
        QuantizeOptions options = QuantizeOptions.of(WeightMix.Q8_0);
        assertThatThrownBy(() -> options.withThreads(0)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> options.withThreads(1 << 30)).isInstanceOf(UsageException.class);
    }

    @Test
    void outliersAndErrorsAreWhatTheirDefinitionsSay() {
        Path out = folder.resolve("o.gguf");
        List<TensorSummary> tensors = Quantizer.quantize(model(), out, QuantizeOptions.of(WeightMix.Q8_0));
        try (Gguf before = Gguf.open(model());
                Gguf after = Gguf.open(out)) {
            for (TensorSummary tensor : tensors) {
                float[] x = values(Objects.requireNonNull(before.tensor(tensor.name())));
                float[] decoded = values(Objects.requireNonNull(after.tensor(tensor.name())));
                double squares = 0;
                double errors = 0;
                double largest = 0;
                for (int i = 0; i < x.length; i++) {
                    squares += (double) x[i] * x[i];
                    errors += Math.pow((double) x[i] - decoded[i], 2);
                    largest = Math.max(largest, Math.abs(x[i]));
                }
                assertThat(tensor.outlierRatio())
                        .as(tensor.name())
                        .isCloseTo(largest / Math.sqrt(squares / x.length), Offset.offset(1e-6));
                assertThat(tensor.relativeError())
                        .as(tensor.name())
                        .isCloseTo(Math.sqrt(errors / squares), Offset.offset(1e-7));
            }
        }
        assertThat(tensors.getFirst().to()).isEqualTo(TensorType.Q8_0);
    }

    private static float[] values(GgufTensor tensor) {
        int columns = Math.toIntExact(tensor.columns());
        int rows = Math.toIntExact(tensor.rows());
        MatrixSource source = new MatrixSource(tensor.name(), tensor.type(), rows, columns, tensor.data());
        float[] all = new float[rows * columns];
        float[] row = new float[columns];
        for (int r = 0; r < rows; r++) {
            source.dequantizeRow(r, row);
            System.arraycopy(row, 0, all, r * columns, columns);
        }
        return all;
    }
}
