package dev.demitasse.quantize.advise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UsageException;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

class CurveTest {
    private static final Offset<Double> EXACT = Offset.offset(1e-12);

    @Test
    void aCurveIsStraightBetweenItsPointsAndBeyond() {
        Curve curve = new Curve(new double[] {1, 4, 8}, new double[] {2, 5, 13});
        assertThat(curve.at(1)).isEqualTo(2, EXACT);
        assertThat(curve.at(2)).isEqualTo(3, EXACT);
        assertThat(curve.at(6)).isEqualTo(9, EXACT);
        assertThat(curve.at(10)).isEqualTo(17, EXACT);
        assertThat(curve.slope()).isEqualTo(2, EXACT);
        assertThat(curve.times(3).at(6)).isEqualTo(27, EXACT);
    }

    @Test
    void aLineHasAFixedPart() {
        assertThat(Curve.line(2, 0.5).at(8)).isEqualTo(6, EXACT);
        assertThat(new Curve(new double[] {1}, new double[] {7}).at(100)).isEqualTo(7, EXACT);
    }

    @Test
    void rowsAscend() {
        assertThatThrownBy(() -> new Curve(new double[] {1, 1}, new double[] {1, 2}))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("ascending");
        assertThatThrownBy(() -> new Curve(new double[0], new double[0])).isInstanceOf(UsageException.class);
    }
}
