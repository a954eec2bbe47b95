package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.DeviceOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;

/** Every form is measured, gives the same results, and the quickest is found again by the next device. */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class TuningTest {
    private final Driver.Gpu gpu = named("Demitasse test"); // not to touch what was measured of the card
    private final Path file = KernelChoice.file(gpu);

    private static Driver.Gpu named(String name) {
        Driver.Gpu first = Driver.gpus().getFirst();
        return new Driver.Gpu(0, name, first.number(), first.multiprocessors(), first.bytes());
    }

    @BeforeEach
    @AfterEach
    void forget() throws IOException {
        Files.deleteIfExists(file);
    }

    @Test
    void whatIsMeasuredIsKeptForDevicesThatAreOpenedLater() throws IOException {
        int known = KernelChoice.of(gpu).size();
        List<String> report = new ArrayList<>();
        new Tuning(DeviceOptions.defaults(), gpu, 0, report::add)
                .run(List.of(new Tuning.Size(64, 512)), List.of(12, 40));
        assertThat(report).noneMatch(line -> line.contains("other results"));
        assertThat(report.getLast()).contains(file.toString());
        List<KernelChoice.Line> lines = KernelChoice.parse(Files.readString(file), gpu);
        assertThat(lines).extracting(KernelChoice.Line::weights).contains("int4/32", "int8/32", "int8/0");
        assertThat(lines).hasSize(6).allMatch(line -> line.microseconds() > 0);
        assertThat(KernelChoice.of(gpu).size()).isEqualTo(6);
        Files.writeString(file, "spoiled");
        assertThat(KernelChoice.of(gpu).size())
                .as("a spoiled file is said and left out")
                .isEqualTo(known);
    }
}
