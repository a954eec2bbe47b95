package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The driver that a card asks for: what the kernels need, and what knows the card. */
class DriverVersionTest {
    @ParameterizedTest
    @CsvSource({
        "80, 12000, CUDA 12.0, 525",
        "90, 12000, CUDA 12.0, 525",
        "100, 12000, CUDA 12.8, 570",
        "120, 12000, CUDA 12.8, 570",
        "80, 13000, CUDA 13.0, 580",
        "120, 13000, CUDA 13.0, 580",
    })
    void isWhatKernelsAndCardNeed(int capability, int kernels, String version, int series) {
        DriverVersion least = DriverVersion.least(capability, new DriverVersion(kernels));
        assertThat(least).hasToString(version);
        assertThat(least.series()).isEqualTo(series);
    }

    @ParameterizedTest
    @CsvSource({"11080, true", "12000, false", "12020, false", "13010, false"})
    void anOlderDriverIsTooOld(int driver, boolean tooOld) {
        assertThat(new DriverVersion(driver).isOlderThan(new DriverVersion(12000)))
                .isEqualTo(tooOld);
    }
}
