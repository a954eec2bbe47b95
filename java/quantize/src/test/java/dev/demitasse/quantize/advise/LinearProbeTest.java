package dev.demitasse.quantize.advise;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LinearProbeTest {
    /** Quantizing takes 3 of 11 and of 5 seconds; the rest is what a quarter of the outputs spares. */
    @ParameterizedTest
    @CsvSource({"11, 5, 3", "8, 2, 0", "8, 1, 0", "8, 8, 4", "-1, 5, 0", "5, -1, 0"})
    void whatFewerOutputsDoNotSpareIsOfTheInput(double wide, double narrow, double expected) {
        assertThat(LinearProbe.input(4, wide, narrow)).isEqualTo(expected);
    }

    private static final double[] ROWS = {1, 2, 8, 32, 128};

    /** A machine that is shared may time 32 rows as long as 128, or longer, and some no longer than a launch. */
    @ParameterizedTest
    @CsvSource({
        "1, 1, 2, 9, 30",
        "1, 1, 2, 30, 30",
        "1, 1, 2, 60, 30",
        "5, 4, 3, 2, 1",
        "-1, 2, 4, 9, 30",
        "-1, -1, -1, 9, -1",
        "0, -1, 0, 0, 0",
        "9, 9, 9, 9, 9"
    })
    void timesThatCannotBeAreMended(double a, double b, double c, double d, double e) {
        double[] times = LinearProbe.plausible(ROWS, new double[] {a * 1e-6, b * 1e-6, c * 1e-6, d * 1e-6, e * 1e-6});
        assertThat(times).isSorted();
        for (int i = 1; i < times.length; i++) {
            assertThat(times[i]).isLessThanOrEqualTo(times[i - 1] * ROWS[i] / ROWS[i - 1] * (1 + 1e-12));
        }
        Curve curve = LinearProbe.beyond(ROWS, times);
        assertThat(curve.at(32)).isEqualTo(times[3]);
        assertThat(curve.at(1024)).as("rows beyond cost more").isGreaterThan(4 * curve.at(128) * (1 - 1e-12));
        assertThat(2 / curve.slope()).as("operations a second").isBetween(1.0, 1e10);
    }
}
