package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.CheckedDevice;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.RopeFrequencies;
import dev.demitasse.model.Weights;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Golden;
import dev.demitasse.testkit.KernelCases;
import dev.demitasse.testkit.ModelContractTest;
import dev.demitasse.tokenizer.Vocabulary;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole models, every step after the second as a graph. */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaModelTest extends ModelContractTest {
    CudaModelTest() {
        super("cuda");
    }

    @Override
    protected DeviceOptions device() {
        return super.device().withBatchInvariant(true);
    }

    @Override
    protected int sequences() {
        return 3;
    }

    @Override
    protected int repeated() {
        return 24;
    }

    /** A window, and long heads; each takes half a minute on the emulator. */
    @Override
    protected List<String> longContexts() {
        return List.of("gemma3", "deepseek2");
    }

    /** Each takes seconds on the emulator. */
    @Override
    protected boolean isSlow() {
        return true;
    }

    @Override
    protected int longContext() {
        return 300;
    }

    /** Decoding starts each step before the tokens of the one before are read, and records its layers once a buffer. */
    @ParameterizedTest
    @ValueSource(strings = {"llama", "gemma4-ple", "gpt-oss", "deepseek2", "qwen35moe", "nemotron_h_moe", "lfm2moe"})
    void decodingRecordsItsLayersOnce(String architecture) {
        try (Gguf file = Gguf.open(Golden.tiny(architecture));
                CudaDevice device = open()) {
            RopeFrequencies.Factors none = new RopeFrequencies.Factors(null, null, null);
            ModelConfig config = ModelConfig.read(file.metadata(), Vocabulary.count(file.metadata()), none, 128);
            CheckedDevice door = CheckedDevice.of(device);
            Engine.Limits limits = new Engine.Limits(128, 1, 32, 32, KvType.F16, false);
            try (Weights weights = new Weights(file, config, door, null);
                    Engine engine = new Engine(config, weights, door, limits, new Engine.Roles(id -> false))) {
                Sequence sequence = new Sequence();
                engine.begin(sequence, new int[] {5, 6, 7}, SamplingOptions.GREEDY, 40, 0, 0, false);
                int seen = 0;
                Engine.Progress progress;
                do {
                    progress = engine.await(sequence, seen, () -> null);
                    seen += progress.steps().size();
                } while (progress.finish() == null);
                assertThat(seen).isEqualTo(40);
                assertThat(device.replayedPasses()).isGreaterThanOrEqualTo(33);
                assertThat(device.replays()).isGreaterThanOrEqualTo(33);
            }
        }
    }

    /** Steps of a growing sequence are replays of one graph, with the results of steps that are launched one by one. */
    @Test
    void replaysAStepAsAGraph() {
        try (CudaDevice device = open();
                CudaDevice fresh = open()) {
            float[][] replayed = steps(device, 12);
            assertThat(device.replays()).isGreaterThanOrEqualTo(10);
            for (int position = 0; position < 12; position++) {
                float[][] alone = steps(fresh, position + 1); // new buffers, so new launches
                assertThat(replayed[position]).as("position " + position).isEqualTo(alone[position]);
            }
        }
    }

    private static CudaDevice open() {
        return (CudaDevice) new CudaBackend()
                .open(DeviceOptions.defaults()
                        .withActivations(ActivationType.INT8)
                        .withBatchInvariant(true));
    }

    /** A layer's attention and a matrix, one position a step. */
    private static float[][] steps(CudaDevice device, int count) {
        SplittableRandom random = new SplittableRandom(7);
        int width = 2 * 32;
        float[] w = KernelCases.numbers(width * width, KernelCases.Fill.RANDOM, random);
        float[][] out = new float[count][width];
        MatrixSource matrix = KernelCases.matrix(w, width, width);
        try (LinearWeight weight = device.upload(matrix, WeightLayout.int4(32));
                KvStore store = device.allocateKv(new KvShape(1, 2, 32, 2, KvType.F16));
                Buffer x = device.allocate(width * 4L);
                Buffer y = device.allocate(width * 4L)) {
            AttentionShape shape = new AttentionShape(2, 2, 32, 0.2f, 0, 0);
            int[] table = {1, 0};
            for (int position = 0; position < count; position++) {
                float[] input = KernelCases.numbers(width, KernelCases.Fill.RANDOM, random);
                BatchRows rows = new BatchRows(1, new int[] {position}, new int[][] {table});
                x.write(0, MemorySegment.ofArray(input));
                device.kvAppend(store, 0, x, x, rows);
                device.attention(x, store, 0, shape, rows, y);
                device.linear(y, 1, new Projection(weight, null, x));
                x.read(0, MemorySegment.ofArray(out[position]));
            }
        }
        return out;
    }
}
