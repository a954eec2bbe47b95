package dev.demitasse.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class OutputTypeTest {
    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void everyNumberOfTheTypeIsItself(OutputType type) {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float number = type.widen((short) bits);
            if (Float.isNaN(number)) {
                assertThat(type.widen(type.narrow(number))).isNaN();
            } else {
                assertThat(type.narrow(number) & 0xFFFF).isEqualTo(bits);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void whatLiesBetweenTwoNumbersGoesToTheNearerAndFromTheMiddleToTheEvenOne(OutputType type) {
        int infinite = type == OutputType.F16 ? 0x7C00 : 0x7F80;
        for (int bits = 0; bits < infinite - 1; bits++) {
            double low = type.widen((short) bits);
            double high = type.widen((short) (bits + 1));
            float middle = (float) ((low + high) / 2);
            int even = bits % 2 == 0 ? bits : bits + 1;
            assertThat(type.narrow(middle) & 0xFFFF).as("%s", middle).isEqualTo(even);
            assertThat(type.narrow(-middle) & 0xFFFF).as("%s", -middle).isEqualTo(even | 0x8000);
            assertThat(type.narrow(Math.nextDown(middle)) & 0xFFFF).isEqualTo(bits);
            assertThat(type.narrow(Math.nextUp(middle)) & 0xFFFF).isEqualTo(bits + 1);
        }
    }

    @Test
    void whatIsTooLargeBecomesInfinite() {
        assertThat(OutputType.F16.widen(OutputType.F16.narrow(65519.996f))).isEqualTo(65504);
        assertThat(OutputType.F16.widen(OutputType.F16.narrow(65520))).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(OutputType.BF16.widen(OutputType.BF16.narrow(-Float.MAX_VALUE)))
                .isEqualTo(Float.NEGATIVE_INFINITY);
        assertThat(OutputType.BF16.widen(OutputType.BF16.narrow(Float.intBitsToFloat(0x7FFFFFFF))))
                .isNaN();
    }

    @Test
    void fp32HasNoSixteenBits() {
        assertThatThrownBy(() -> OutputType.F32.narrow(1)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> OutputType.F32.widen((short) 1)).isInstanceOf(IllegalStateException.class);
    }
}
