package dev.demitasse.quantize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.ModelOptions;
import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.testkit.Golden;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;

class ImportanceMatrixTest {
    private static final ModelOptions REFERENCE =
            ModelOptions.DEFAULT.withBackend("reference").withSequences(1);
    private static final String TEXT = "The quick brown fox jumps over the lazy dog. ".repeat(40);

    @TempDir
    Path folder = Path.of("");

    private static ImportanceMatrix example() {
        return new ImportanceMatrix(
                Map.of(
                        "a.weight",
                        new ImportanceMatrix.Entry(new float[] {2, 4, 6}, new float[] {2}),
                        "experts.weight",
                        new ImportanceMatrix.Entry(new float[] {3, 6, 9, 9}, new float[] {3, 0})),
                List.of("text.txt"),
                7,
                512);
    }

    @Test
    void meansAreSumsOverCountsAndAnExpertWithoutInputHasOnes() {
        ImportanceMatrix matrix = example();
        assertThat(matrix.meanSquares("a.weight")).containsExactly(1, 2, 3);
        assertThat(matrix.meanSquares("experts.weight")).containsExactly(1, 2, 1, 1);
        assertThat(matrix.meanSquares("none.weight")).isNull();
    }

    @Test
    void whatIsWrittenIsReadAgain() {
        Path path = folder.resolve("imatrix.gguf");
        example().write(path);
        ImportanceMatrix read = ImportanceMatrix.read(path);
        assertThat(read.size()).isEqualTo(2);
        assertThat(read.chunks()).isEqualTo(7);
        assertThat(read.texts()).containsExactly("text.txt");
        assertThat(read.meanSquares("experts.weight")).containsExactly(1, 2, 1, 1);
    }

    @Test
    void shapesOfAnotherModelAreRefused() {
        ImportanceMatrix matrix = example();
        assertThat(matrix.fits("a.weight", new long[] {3, 5})).isTrue();
        assertThat(matrix.fits("experts.weight", new long[] {2, 5, 2})).isTrue();
        assertThat(matrix.fits("none.weight", new long[] {2, 5})).isFalse();
        assertThatThrownBy(() -> matrix.fits("a.weight", new long[] {1, 5})).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> matrix.fits("experts.weight", new long[] {2, 5, 4}))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("another model");
    }

    @Test
    void whatIsNoFileOrFarTooLargeIsRefused() throws IOException {
        assertThatThrownBy(() -> ImportanceMatrix.read(folder)).isInstanceOf(ModelFormatException.class);
        Path large = folder.resolve("large.safetensors");
        try (RandomAccessFile file = new RandomAccessFile(large.toFile(), "rw")) {
            file.setLength(1L << 32);
        }
        assertThatThrownBy(() -> ImportanceMatrix.read(large))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("MiB");
    }

    /** One matrix "ab" of two columns seen in four calls, in llama.cpp's old format. */
    private static byte[] old() {
        ByteBuffer out = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(1).putInt(2).put("ab".getBytes(StandardCharsets.UTF_8)).putInt(4);
        out.putInt(2).putFloat(8).putFloat(4).putInt(9).putInt(1).put((byte) 'f');
        return Arrays.copyOf(out.array(), out.position());
    }

    @Test
    void theOldFormatIsRead() throws IOException {
        Path path = Files.write(folder.resolve("imatrix.dat"), old());
        ImportanceMatrix matrix = ImportanceMatrix.read(path);
        assertThat(matrix.meanSquares("ab")).containsExactly(2, 1);
        assertThat(matrix.chunks()).isEqualTo(9);
        assertThat(matrix.texts()).containsExactly("f");
    }

    @Test
    void damagedFilesGiveTypedExceptions() throws IOException {
        Path path = folder.resolve("damaged");
        example().write(folder.resolve("good.gguf"));
        for (byte[] good : List.of(old(), Files.readAllBytes(folder.resolve("good.gguf")))) {
            int needed = good.length < 64 ? good.length - 9 : good.length - 40; // the rest is what may be missing
            for (int length = 0; length < needed; length++) {
                Files.write(path, Arrays.copyOf(good, length));
                assertThatThrownBy(() -> ImportanceMatrix.read(path)).isInstanceOf(DemitasseException.class);
            }
            for (int i = 0; i < good.length; i++) {
                byte[] mutated = good.clone();
                mutated[i] = (byte) 0xFF;
                Files.write(path, mutated);
                try {
                    ImportanceMatrix.read(path);
                } catch (DemitasseException e) {
                    // the typed exception: what this test asks for
                }
            }
        }
        ByteArrayOutputStream huge = new ByteArrayOutputStream();
        huge.write(new byte[] {1, 0, 0, 0, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, 0x7F});
        Files.write(path, huge.toByteArray());
        assertThatThrownBy(() -> ImportanceMatrix.read(path)).isInstanceOf(ModelFormatException.class);
        assertThatThrownBy(() -> ImportanceMatrix.read(Golden.tiny("llama")))
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("no importance matrix");
    }

    @Test
    void calibrationSeesEveryMatrixButTheOutputs() {
        ImportanceMatrix matrix = Calibration.collect(
                Golden.tiny("llama"),
                REFERENCE,
                TEXT,
                "fox.txt",
                32,
                (done, total) -> assertThat(done).isLessThanOrEqualTo(total));
        assertThat(matrix.chunks()).isGreaterThan(1);
        float[] queries = Objects.requireNonNull(matrix.meanSquares("blk.0.attn_q.weight"));
        float[] keys = Objects.requireNonNull(matrix.meanSquares("blk.0.attn_k.weight"));
        assertThat(queries).isEqualTo(keys); // both take the same input
        double sum = 0;
        for (float v : queries) {
            sum += v;
        }
        assertThat(sum).isGreaterThan(0);
        assertThat(matrix.meanSquares("output.weight")).isNull();
        assertThat(matrix.meanSquares("blk.0.ffn_down.weight")).isNotNull();
    }

    /** Every matrix that is quantized, of a token's path: a block that drafts, and what is only looked up, see none. */
    @ParameterizedTest
    @FieldSource("dev.demitasse.testkit.Golden#TINY")
    void calibrationKnowsTheMatricesOfEveryArchitecture(String name) {
        Path model = Golden.tiny(name);
        ImportanceMatrix matrix = Calibration.collect(model, REFERENCE, TEXT, "fox.txt", 32, (done, total) -> {});
        try (Gguf file = Gguf.open(model)) {
            int layers = file.metadata().integer(file.metadata().string("general.architecture") + ".block_count", 0)
                    - file.metadata()
                            .integer(file.metadata().string("general.architecture") + ".nextn_predict_layers", 0);
            for (GgufTensor tensor : file.tensors()) {
                if (tensor.name().startsWith("blk.")
                        && TensorRole.layer(tensor.name()) < layers
                        && TensorRole.isQuantized(tensor.name(), tensor.dimensions())) {
                    assertThat(matrix.fits(tensor.name(), tensor.dimensions()))
                            .as(tensor.name())
                            .isTrue();
                    long matrices = tensor.dimensions().length > 2 ? tensor.dimensions()[2] : 1;
                    assertThat(matrix.meanSquares(tensor.name()))
                            .as(tensor.name())
                            .hasSize(Math.toIntExact(tensor.dimensions()[0] * matrices));
                }
            }
        }
    }

    /**
     * What llama-imatrix (of llama-cpp-python 0.3.36) wrote of the same model and text, {@code -c 32}, in its formats
     * new and old: read, and as good as what is collected here.
     */
    @ParameterizedTest
    @CsvSource({"llama, llama.gguf", "mixtral, mixtral.gguf", "mixtral, mixtral.dat"})
    void filesOfLlamaImatrixAreReadAndHaveTheSameNumbers(String name, String file) throws URISyntaxException {
        URL written = Objects.requireNonNull(getClass().getResource("imatrix/" + file));
        ImportanceMatrix theirs = ImportanceMatrix.read(Path.of(written.toURI()));
        ImportanceMatrix ours =
                Calibration.collect(Golden.tiny(name), REFERENCE, TEXT, "fox.txt", 32, (done, total) -> {});
        Percentage within = Percentage.withPercentage(0.5); // its cache is in F16
        assertThat(theirs.texts()).containsExactly("fox.txt");
        assertThat(theirs.chunks()).isEqualTo(ours.chunks());
        assertThat(theirs.size()).isEqualTo(ours.size());
        try (Gguf model = Gguf.open(Golden.tiny(name))) {
            for (GgufTensor tensor : model.tensors()) {
                float[] expected = theirs.meanSquares(tensor.name());
                float[] actual = ours.meanSquares(tensor.name());
                assertThat(actual == null).as(tensor.name()).isEqualTo(expected == null);
                if (actual == null || expected == null) {
                    continue;
                }
                assertThat(actual).hasSameSizeAs(expected);
                for (int i = 0; i < actual.length; i++) {
                    assertThat(actual[i]).as("%s, number %d", tensor.name(), i).isCloseTo(expected[i], within);
                }
            }
        }
    }

    @Test
    void anExpertsNumbersAreOfTheRowsThatAreRoutedToIt() {
        Path model = Golden.tiny("mixtral");
        ImportanceMatrix matrix = Calibration.collect(model, REFERENCE, TEXT, "fox.txt", 32, (done, total) -> {});
        Path path = folder.resolve("imatrix.gguf");
        matrix.write(path);
        try (Gguf file = Gguf.open(path)) {
            String name = "blk.0.ffn_up_exps.weight";
            GgufTensor counts = Objects.requireNonNull(file.tensor(name + ".counts"));
            GgufTensor all = Objects.requireNonNull(file.tensor("blk.0.attn_q.weight.counts"));
            float rows = all.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
            float routed = 0;
            for (int e = 0; e < counts.elements(); e++) {
                float count = counts.data().getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, e);
                assertThat(count).isLessThan(rows);
                routed += count;
            }
            assertThat(routed).isEqualTo(2 * rows); // two experts a token
            float[] means = Objects.requireNonNull(matrix.meanSquares(name));
            int columns = means.length / (int) counts.elements();
            assertThat(Arrays.copyOf(means, columns)).isNotEqualTo(Arrays.copyOfRange(means, columns, 2 * columns));
        }
    }
}
