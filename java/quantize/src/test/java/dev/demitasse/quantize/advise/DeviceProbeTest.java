package dev.demitasse.quantize.advise;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.ModelShape;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.testkit.Golden;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DeviceProbeTest {
    /** The reference device is the slowest there is; experts have few rows each, states are of three kinds. */
    @ParameterizedTest
    @ValueSource(strings = {"qwen3", "qwen3moe", "qwen35", "lfm2", "granitehybrid", "deepseek2", "gemma4-ple"})
    @Timeout(value = 60, unit = TimeUnit.SECONDS)
    void whatIsMeasuredGivesSpeedsThatCanBe(String architecture) {
        try (Gguf file = Gguf.open(Golden.tiny(architecture))) {
            Advisor advisor = new Advisor(ModelShape.of(file), file);
            DeviceProfile device = advisor.measure("reference", DeviceOptions.defaults());
            assertThat(device.readBandwidth()).isBetween(1e6, 1e13);
            assertThat(device.readBandwidth(1e6)).isBetween(1e6, 1e13);
            assertThat(device.peaks().fp32()).isBetween(1e6, 1e15);
            assertThat(device.peaks().fp16()).isBetween(1e6, 1e15);
            assertThat(device.peaks().int8()).isBetween(1e6, 1e15);
            assertThat(device.linear()).allSatisfy((layout, cost) -> {
                assertThat(cost.exposed()).isBetween(0.0, 2.0);
                assertThat(cost.inputSeconds()).isBetween(0.0, 1e-3);
            });
            assertThat(advisor.advise(device).cells())
                    .allSatisfy(cell -> assertThat(cell.time().seconds()).isBetween(1e-9, 1e6));
        }
    }
}
