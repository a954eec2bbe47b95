package dev.demitasse.quantize.advise;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LinearProbeTest {
    private static final double[] ROWS = {1, 2, 8, 32, 128};

    /** A machine that is shared may time 32 rows as long as 128, or longer, and some at nothing. */
    @ParameterizedTest
    @CsvSource({
        "1, 1, 2, 9, 30",
        "1, 1, 2, 30, 30",
        "1, 1, 2, 60, 30",
        "5, 4, 3, 2, 1",
        "0, -1, 0, 0, 0",
        "9, 9, 9, 9, 9"
    })
    void timesThatCannotBeAreMended(double a, double b, double c, double d, double e) {
        double[] times = LinearProbe.plausible(ROWS, new double[] {a, b, c, d, e});
        assertThat(times).isSorted();
        Curve curve = new Curve(ROWS, times);
        assertThat(curve.slope()).as("more rows cost more").isPositive();
        for (int i = 1; i < times.length; i++) {
            assertThat(times[i]).isLessThanOrEqualTo(times[i - 1] * ROWS[i] / ROWS[i - 1] * 2);
        }
    }
}
