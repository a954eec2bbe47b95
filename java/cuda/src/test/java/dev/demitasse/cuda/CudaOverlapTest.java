package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.CheckedDevice;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Support;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvRotation;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.RopeFrequencies;
import dev.demitasse.model.Weights;
import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Golden;
import dev.demitasse.tokenizer.Vocabulary;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Kernels that begin before those before them have ended reach nothing too early. The build has the emulator watch for
 * this class ({@code cuda/emulator/guard.h}): a kernel that does fails.
 */
class CudaOverlapTest {
    private static final int CONTEXT = 512;

    @ParameterizedTest
    @CsvSource({"llama, F16, INT8", "qwen3, INT8, INT8", "gemma3, FP8, INT8_ROW", "phi3, F32, F32", "llama, INT4, INT8"
    })
    void aModelsStepsReachNothingTooEarly(String architecture, KvType cache, ActivationType activations) {
        assumeTrue("1".equals(System.getenv("EMULATOR_DEPENDENT")), "the emulator does not watch");
        Support support = new CudaBackend().probe();
        assumeTrue(support.ok(), support::toString); // a build without nvcc has no kernels
        DeviceOptions options = DeviceOptions.defaults().withActivations(activations);
        try (Gguf file = Gguf.open(Golden.tiny(architecture));
                CheckedDevice door = CheckedDevice.of(new CudaBackend().open(options))) {
            RopeFrequencies.Factors none = new RopeFrequencies.Factors(null, null, null);
            ModelConfig config = ModelConfig.read(file.metadata(), Vocabulary.count(file.metadata()), none, CONTEXT);
            Engine.Limits limits = new Engine.Limits(CONTEXT, 3, 256, 256, cache, KvRotation.AUTO.rotates(cache));
            try (Weights weights = new Weights(file, config, door, null);
                    Engine engine = new Engine(config, weights, door, limits, new Engine.Roles(id -> false))) {
                int[] prompt = new SplittableRandom(1)
                        .ints(200, 3, config.vocabulary())
                        .toArray();
                List<Sequence> sequences = List.of(new Sequence(), new Sequence(), new Sequence());
                for (Sequence sequence : sequences) {
                    engine.begin(sequence, prompt, SamplingOptions.DEFAULT.withSeed(0), 6, 0, 0, false);
                }
                for (Sequence sequence : sequences) {
                    int seen = 0;
                    while (seen < 6) {
                        seen += engine.await(sequence, seen, () -> null).steps().size();
                    }
                    assertThat(seen).isEqualTo(6);
                }
            }
        }
    }
}
