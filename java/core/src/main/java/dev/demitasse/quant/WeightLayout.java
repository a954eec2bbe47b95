package dev.demitasse.quant;

import dev.demitasse.exception.UsageException;

/**
 * How a weight matrix lies on a device: the element, the length of a group that shares a scale, and whether groups have
 * a minimum beside the scale.
 *
 * <p>The value of a quantized element is {@code scale * (q - zero) + min}. INT4 integers are 0 … 15 with {@code zero} 8
 * where there is no minimum and 0 where there is one; INT8 integers are -128 … 127 with {@code zero} 0.
 *
 * @param element how one element is stored
 * @param group elements of a row that share a scale: 16, 32, 64, 128; 0 for floating-point elements, {@link #ROW} for
 *     whole rows
 * @param minimum whether each group has a minimum
 */
public record WeightLayout(Element element, int group, boolean minimum) {
    /** The group length that stands for the whole row (one scale per output channel). */
    public static final int ROW = -1;

    /** 32-bit floating point. */
    public static final WeightLayout F32 = new WeightLayout(Element.F32, 0, false);
    /** 16-bit floating point (IEEE 754). */
    public static final WeightLayout F16 = new WeightLayout(Element.F16, 0, false);
    /** 16-bit floating point with FP32's exponent; F16 could not hold its values exactly. */
    public static final WeightLayout BF16 = new WeightLayout(Element.BF16, 0, false);

    /** How one element is stored. */
    public enum Element {
        /** 32-bit floating point. */
        F32(32),
        /** IEEE 754 binary16. */
        F16(16),
        /** bfloat16. */
        BF16(16),
        /** Signed 8-bit integers. */
        INT8(8),
        /** Unsigned 4-bit integers. */
        INT4(4);

        private final int bits;

        Element(int bits) {
            this.bits = bits;
        }

        /** {@return bits of one element} */
        public int bits() {
            return bits;
        }

        /** {@return whether elements are integers with scales} */
        public boolean quantized() {
            return this == INT8 || this == INT4;
        }
    }

    /** Checks the group length. */
    public WeightLayout {
        boolean valid = element.quantized()
                ? group == ROW || group == 16 || group == 32 || group == 64 || group == 128
                : group == 0 && !minimum;
        if (!valid) {
            throw new UsageException(
                    "No weight layout has " + element + " in groups of " + group + (minimum ? " with a minimum" : "")
                            + "; integers have groups of 16, 32, 64, 128 or the whole row.");
        }
    }

    /**
     * {@return INT8 with a scale for each {@code group} elements}
     *
     * @param group 16, 32, 64, 128 or {@link #ROW}
     */
    public static WeightLayout int8(int group) {
        return new WeightLayout(Element.INT8, group, false);
    }

    /**
     * {@return INT4 with a scale for each {@code group} elements}
     *
     * @param group 16, 32, 64, 128 or {@link #ROW}
     */
    public static WeightLayout int4(int group) {
        return new WeightLayout(Element.INT4, group, false);
    }

    /** {@return the same layout with a minimum for each group} */
    public WeightLayout withMinimum() {
        return new WeightLayout(element, group, true);
    }

    /** {@return the integer that stands for zero} */
    public int zero() {
        return element == Element.INT4 && !minimum ? 8 : 0;
    }

    /**
     * {@return groups in a row of {@code columns} elements; 0 for floating-point elements}
     *
     * @param columns elements of a row
     */
    public int groups(int columns) {
        if (!element.quantized()) {
            return 0;
        }
        return group == ROW ? 1 : (columns + group - 1) / group;
    }

    /**
     * Sets scales that multiply only zeros to 0: encoders write there what FP16 does not hold. Nothing where groups
     * have minimums, or where zero is not the integer 0.
     *
     * @param q the integers of a row, with zeros behind them
     * @param scales of its groups
     */
    public void dropScalesOfZeros(byte[] q, float[] scales) {
        int length = group == ROW ? q.length : group;
        for (int g = 0; g < scales.length && zero() == 0 && !minimum; g++) {
            boolean zeros = true;
            for (int k = g * length; k < Math.min(q.length, (g + 1) * length); k++) {
                zeros &= q[k] == 0;
            }
            scales[g] = zeros ? 0 : scales[g];
        }
    }

    @Override
    public String toString() {
        if (!element.quantized()) {
            return element.name();
        }
        return element + " per " + (group == ROW ? "row" : group) + (minimum ? " with minimum" : "");
    }
}
