package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.Golden;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MemoryNeedTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withKvType(KvType.F16).withContextLength(128);

    /** What is told before is what a loaded model has. */
    @ParameterizedTest
    @ValueSource(strings = {"llama", "qwen35", "gemma4-dense", "nemotron_h", "deepseek2", "qwen35-mtp"})
    void whatIsToldIsWhatIsTaken(String architecture) {
        try (Gguf file = Gguf.open(Golden.tiny(architecture));
                Device device = Devices.open("reference", DeviceOptions.defaults());
                Model model = Model.load(file, OPTIONS.withSequences(3))) {
            MemoryNeed need = MemoryNeed.of(file, OPTIONS.withSequences(3), 128, true, device);
            assertThat(need.cache()).isEqualTo(model.cacheBytes());
            assertThat(need.states() > 0).isEqualTo(ModelSize.of(file).stateBytes() > 0);
            assertThat((double) need.weights() / model.weightBytes()).isBetween(0.95, 1.15); // vectors, too
            long all = need.weights() + need.cache() + need.states();
            assertThat(need.exceeds(all)).isFalse();
            assertThat(need.exceeds(all - 1)).isTrue();
            assertThat(need.sentence(all))
                    .contains("3 sessions of 128 positions")
                    .doesNotContain("may not fit");
            assertThat(need.sentence(all - 1)).contains("may not fit: ask for fewer sessions");
        }
    }

    /** Sessions of host memory may be many: nothing is used before it is filled. */
    @Test
    void manySessionsAreCounted() {
        try (Gguf file = Gguf.open(Golden.tiny("llama"));
                Device device = Devices.open("reference", DeviceOptions.defaults())) {
            MemoryNeed need = MemoryNeed.of(file, OPTIONS.withSequences(1 << 20), 1 << 16, true, device);
            assertThat(need.cache()).isGreaterThan(1L << 36);
            assertThat(need.exceeds(1L << 36)).isTrue();
        }
    }

    @Test
    void aDraftBlockThatIsNotLoadedTakesNothing() {
        try (Gguf file = Gguf.open(Golden.tiny("qwen35-mtp"));
                Device device = Devices.open("reference", DeviceOptions.defaults())) {
            MemoryNeed with = MemoryNeed.of(file, OPTIONS, 128, true, device);
            MemoryNeed without = MemoryNeed.of(file, OPTIONS, 128, false, device);
            assertThat(with.weights() - without.weights()).isPositive();
            assertThat(with.cache()).isGreaterThan(without.cache());
            assertThat(without.weights()).isEqualTo(ModelSize.deviceBytes(file, device));
        }
    }
}
