package dev.demitasse.quantize;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.Devices;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RotatedColumns;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SmoothingTest {
    private static final ModelOptions REFERENCE =
            ModelOptions.DEFAULT.withBackend("reference").withKvType(KvType.F32);
    private static final ModelOptions EXACT =
            REFERENCE.withDevice(DeviceOptions.defaults().withActivations(ActivationType.F32));
    private static final String TEXT = "A demitasse holds half of what a cup does. ".repeat(20);
    private static final int[] TOKENS = {1, 40, 7, 93, 120, 33, 5, 201, 64, 17, 88, 2};

    @TempDir
    Path folder = Path.of("");

    private static List<float[]> logits(Path file, ModelOptions options) {
        List<float[]> all = new ArrayList<>();
        try (Model model = Model.load(file, options)) {
            model.evaluate(TOKENS, 0, (position, logits) -> all.add(logits.clone()));
        }
        return all;
    }

    private static Smoothing smoothing(Path model, WeightMix mix) {
        return Smoothing.search(model, mix, EXACT, TEXT, 64, (done, total) -> {});
    }

    /**
     * Queries, keys and values in one matrix or three, biases, two norms more, none before, or one of another name: the
     * same numbers but for rounding.
     */
    @ParameterizedTest
    @CsvSource({
        "llama, W8A8",
        "qwen2, W8A8",
        "qwen3, W8A8",
        "gemma2, W8A8",
        "gemma3, W8A8",
        "phi3, W8A8",
        "exaone4, W8A8",
        "glm4, W8A8",
        "granite, W8A8",
        "mistral3, W8A8",
        "olmo2, W8A8",
        "qwen2vl, W8A8",
        "seed_oss, W8A8",
        "smollm3, W8A8",
        "llama, Q4_0",
        "gemma3, Q4_1"
    })
    void aSmoothedModelComputesTheSame(String architecture, WeightMix mix) {
        Path model = Golden.tiny(architecture);
        Smoothing smoothing = smoothing(model, mix);
        assertThat(smoothing.choices())
                .anyMatch(choice -> choice.strength() > 0)
                .allSatisfy(choice -> {
                    assertThat(choice.after()).isLessThanOrEqualTo(choice.before());
                    assertThat(choice.before()).isBetween(0.0, 0.2);
                });
        assertComputesTheSame(model, smoothing);
    }

    private void assertComputesTheSame(Path model, Smoothing smoothing) {
        Path smooth = folder.resolve("smooth.gguf");
        Quantizer.quantize(model, smooth, QuantizeOptions.of(WeightMix.F32).withSmoothing(smoothing));
        List<float[]> before = logits(model, EXACT);
        List<float[]> after = logits(smooth, EXACT);
        for (int p = 0; p < before.size(); p++) {
            for (int i = 0; i < before.get(p).length; i++) {
                assertThat(after.get(p)[i])
                        .as("%s, position %d, token %d", model, p, i)
                        .isCloseTo(before.get(p)[i], Offset.offset(2e-4f));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "granite", "olmo2", "seed_oss"})
    void aModelWithAllColumnsRotatedComputesTheSame(String architecture) {
        Path model = Golden.tiny(architecture);
        Smoothing rotated =
                Smoothing.search(model, WeightMix.W8A8, EXACT, TEXT, 64, (done, total) -> {}, Double.POSITIVE_INFINITY);
        assertThat(rotated.choices()).isNotEmpty().allMatch(Smoothing.Choice::rotated);
        assertComputesTheSame(model, rotated);
        assertThatThrownBy(() -> smoothing(folder.resolve("smooth.gguf"), WeightMix.Q4_0))
                .as("its channels are not where they were")
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("rotated already");
        try (Gguf file = Gguf.open(folder.resolve("smooth.gguf"))) {
            assertThat(file.tensor("blk.0.ffn_down.weight"))
                    .as("other programs must not read it as if it were not rotated")
                    .isNull();
        }
    }

    @Test
    void rotatedColumnsOfSomeOfTheMatricesThatShareAnInputAreRefused() throws IOException {
        Path file = folder.resolve("mixed.gguf");
        try (Gguf model = Gguf.open(Golden.tiny("llama"))) {
            GgufWriter writer = new GgufWriter(3, 32);
            model.metadata().all().forEach(writer::metadata);
            for (GgufTensor tensor : model.tensors()) {
                boolean query = tensor.name().equals("blk.0.attn_q.weight");
                String name = query ? RotatedColumns.name(tensor.name()) : tensor.name();
                writer.tensor(name, tensor.type(), tensor.dimensions(), tensor.data());
            }
            writer.write(file);
        }
        assertThatThrownBy(() -> Model.load(file, REFERENCE).close())
                .isInstanceOf(ModelFormatException.class)
                .hasMessageContaining("blk.0.attn_k.rotated.weight");
    }

    @Test
    void aFileForW8a8HasOneScaleARowAndIsRunAsIt() {
        Path file = folder.resolve("w8a8.gguf");
        Quantizer.quantize(Golden.tiny("llama"), file, QuantizeOptions.of(WeightMix.W8A8));
        try (Gguf opened = Gguf.open(file)) {
            for (GgufTensor tensor : opened.tensors()) {
                if (tensor.type() == TensorType.Q8_0) {
                    long rowBytes = tensor.type().rowBytes(tensor.columns());
                    for (long at = 0; at < tensor.data().byteSize(); at += TensorType.Q8_0.blockBytes()) {
                        short first = tensor.data().get(ValueLayout.JAVA_SHORT_UNALIGNED, at - at % rowBytes);
                        assertThat(tensor.data().get(ValueLayout.JAVA_SHORT_UNALIGNED, at))
                                .isEqualTo(first);
                    }
                }
            }
        }
        ModelOptions asked = REFERENCE.withDevice(DeviceOptions.defaults().withActivations(ActivationType.INT8_ROW));
        assertThat(logits(file, REFERENCE)).usingRecursiveComparison().isEqualTo(logits(file, asked));
        assertThat(logits(file, EXACT).getLast())
                .as("without rounding activations the file is Q8_0")
                .isNotEqualTo(logits(file, REFERENCE).getLast());
    }

    /** A matrix of such rows lies on a device as the file has it. */
    @Test
    void rowsAreTakenOverWithoutRoundingAgain() {
        Path file = folder.resolve("w8a8.gguf");
        Quantizer.quantize(Golden.tiny("llama"), file, QuantizeOptions.of(WeightMix.W8A8));
        DeviceOptions exact = DeviceOptions.defaults().withActivations(ActivationType.F32);
        try (Gguf opened = Gguf.open(file)) {
            GgufTensor tensor = Objects.requireNonNull(opened.tensor("blk.0.attn_q.weight"));
            MatrixSource source = new MatrixSource(
                    tensor.name(), tensor.type(), (int) tensor.rows(), (int) tensor.columns(), tensor.data());
            try (Device device = Devices.open("reference", exact);
                    LinearWeight rows = device.upload(source, WeightLayout.int8(WeightLayout.ROW));
                    Buffer out = device.allocate(source.columns() * 4L)) {
                float[] expected = new float[source.columns()];
                float[] actual = new float[source.columns()];
                for (int row = 0; row < source.rows(); row++) {
                    source.dequantizeRow(row, expected);
                    device.embed(rows, new int[] {row}, 1, 1, out);
                    out.read(0, MemorySegment.ofArray(actual));
                    assertThat(actual).isEqualTo(expected);
                }
            }
        }
    }

    @Test
    void whatIsQuantizedAlreadyIsNotRoundedAgainUnasked() {
        Path eight = folder.resolve("q8.gguf");
        Quantizer.quantize(Golden.tiny("llama"), eight, QuantizeOptions.of(WeightMix.Q8_0));
        assertThatThrownBy(
                        () -> Quantizer.quantize(eight, folder.resolve("o.gguf"), QuantizeOptions.of(WeightMix.W8A8)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("quantized already");
    }

    @Test
    void anotherTypeForgetsWhatTheFileAskedFor() {
        Path file = folder.resolve("w8a8.gguf");
        Quantizer.quantize(Golden.tiny("llama"), file, QuantizeOptions.of(WeightMix.W8A8));
        Path other = folder.resolve("f16.gguf");
        Quantizer.quantize(file, other, QuantizeOptions.of(WeightMix.F16));
        try (Gguf opened = Gguf.open(other)) {
            assertThat(opened.metadata().has(Model.ACTIVATIONS)).isFalse();
        }
    }

    @Test
    void activationsThatAreNotKnownAreRefused() throws IOException {
        Path file = folder.resolve("w8a8.gguf");
        Quantizer.quantize(Golden.tiny("llama"), file, QuantizeOptions.of(WeightMix.W8A8));
        byte[] bytes = Files.readAllBytes(file);
        byte[] known = Model.ROW_ACTIVATIONS.getBytes(StandardCharsets.UTF_8);
        for (int at = 0; at < bytes.length - known.length; at++) {
            if (Arrays.equals(bytes, at, at + known.length, known, 0, known.length)) {
                bytes[at + known.length - 1] = 'x';
            }
        }
        Files.write(file, bytes);
        assertThatThrownBy(() -> Model.load(file, REFERENCE).close())
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("int8_rox");
    }

    /** One channel in 32 meets ten times as much: its weights are spared, at the cost of those beside it. */
    @Test
    void weightsThatMeetLargeActivationsAreSpared() {
        SplittableRandom random = new SplittableRandom(20261128);
        float[][] inputs = new float[32][64];
        float[] meanSquares = new float[64];
        List<float[]> outputs = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            float[] output = new float[64];
            for (int c = 0; c < 64; c++) {
                inputs[i][c] = (float) random.nextGaussian() * (c % 32 == 9 ? 10 : 1);
                output[c] = (float) random.nextGaussian() * (c % 32 == 9 ? 0.3f : 1);
                meanSquares[c] = 1; // an encoder that does not know
            }
            outputs.add(output);
        }
        ProductError error = new ProductError(OperandRounding.ofWeights(TensorType.Q4_0, meanSquares), inputs, outputs);
        float[] factors = new float[64];
        Arrays.fill(factors, 1);
        double plain = error.of(factors, false);
        factors[9] = 3;
        factors[41] = 3;
        assertThat(error.of(factors, false)).isLessThan(plain * 0.6);
    }

    @Test
    void onlyWeightsThatAreRoundedAreScaled() {
        assertThatThrownBy(() -> smoothing(Golden.tiny("llama"), WeightMix.F16))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("F16");
    }

    /** Each row has an element that is a hundred times the others, and not always the same: no channel to scale. */
    @Test
    void elementsThatStickOutOfRowsAreSpreadByARotation() {
        SplittableRandom random = new SplittableRandom(20261128);
        float[][] inputs = new float[32][192];
        List<float[]> outputs = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            float[] output = new float[192];
            for (int c = 0; c < 192; c++) {
                inputs[i][c] = (float) random.nextGaussian();
                output[c] = (float) random.nextGaussian();
            }
            inputs[i][random.nextInt(192)] = 100;
            outputs.add(output);
        }
        ProductError error = new ProductError(OperandRounding.ofRows(), inputs, outputs);
        float[] factors = new float[192];
        Arrays.fill(factors, 1);
        assertThat(error.of(factors, true)).isLessThan(error.of(factors, false) / 2);
    }

    /** One channel in 64 is a hundred times the others, as in large models. */
    @Test
    void anOutlierChannelCostsMuchAndSmoothingTakesMostOfItBack() {
        SplittableRandom random = new SplittableRandom(20261128);
        float[][] inputs = new float[32][64];
        List<float[]> outputs = new ArrayList<>();
        for (int i = 0; i < 32; i++) {
            float[] output = new float[64];
            for (int c = 0; c < 64; c++) {
                inputs[i][c] = (float) random.nextGaussian() * (c == 9 ? 100 : 1);
                output[c] = (float) random.nextGaussian() * (c == 9 ? 0.01f : 1);
            }
            outputs.add(output);
        }
        ProductError error = new ProductError(OperandRounding.ofRows(), inputs, outputs);
        float[] factors = new float[64];
        Arrays.fill(factors, 1);
        double plain = error.of(factors, false);
        factors[9] = 100;
        assertThat(error.of(factors, false)).isLessThan(plain / 10);
    }
}
