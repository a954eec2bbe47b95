package dev.demitasse.quant;

import java.util.Arrays;

/** Rounds floating-point rows to integers with a scale (and minimum) per group: round to nearest, no calibration. */
public final class RoundToNearest {
    private RoundToNearest() {}

    /**
     * Quantizes one row.
     *
     * <p>Without minimum: {@code scale = max|x| / n} with n = 127 (INT8) or 7 (INT4), {@code q = round(x / scale)}.
     * With minimum: {@code scale = (max - min) / 15} (INT4) or {@code / 255} with integers from -128 (INT8). A group
     * whose scale has an infinite reciprocal has scale 0.
     *
     * @param values the row
     * @param layout an integer layout
     * @param q receives the integers, {@code values.length} of them; INT4 ones with their zero point of 8 added
     * @param scales receives a scale a group
     * @param mins receives a minimum a group, where the layout has them
     */
    public static void quantize(float[] values, WeightLayout layout, byte[] q, float[] scales, float[] mins) {
        int group = layout.group() == WeightLayout.ROW ? values.length : layout.group();
        boolean int4 = layout.element() == WeightLayout.Element.INT4;
        Arrays.fill(q, (byte) layout.zero());
        for (int g = 0; g * group < values.length; g++) {
            int from = g * group;
            int to = Math.min(values.length, from + group);
            if (layout.minimum()) {
                quantizeAsymmetric(values, from, to, int4 ? 0 : -128, int4 ? 15 : 127, q, g, scales, mins);
            } else {
                quantizeSymmetric(values, from, to, int4 ? 7 : 127, layout.zero(), q, g, scales);
            }
        }
    }

    private static void quantizeSymmetric(
            float[] x, int from, int to, int limit, int zero, byte[] q, int g, float[] scales) {
        float largest = 0;
        for (int i = from; i < to; i++) {
            largest = Math.max(largest, Math.abs(x[i]));
        }
        float inverse = limit / largest;
        if (!Float.isFinite(inverse)) { // zeros, or so small that the reciprocal of their scale is infinite
            scales[g] = 0;
            return;
        }
        scales[g] = largest / limit;
        for (int i = from; i < to; i++) {
            q[i] = (byte) (clamp((int) Math.rint(x[i] * inverse), -limit, limit) + zero);
        }
    }

    private static void quantizeAsymmetric(
            float[] x, int from, int to, int low, int high, byte[] q, int g, float[] scales, float[] mins) {
        float least = Float.POSITIVE_INFINITY;
        float largest = Float.NEGATIVE_INFINITY;
        for (int i = from; i < to; i++) {
            least = Math.min(least, x[i]);
            largest = Math.max(largest, x[i]);
        }
        float scale = (float) (((double) largest - least) / (high - low));
        float inverse = 1 / scale;
        if (!Float.isFinite(inverse)) { // all alike, or so nearly that the reciprocal of their scale is infinite
            scale = 0;
            inverse = 0;
        }
        scales[g] = scale;
        mins[g] = least - low * scale;
        for (int i = from; i < to; i++) {
            q[i] = (byte) clamp((int) Math.rint((x[i] - least) * inverse) + low, low, high);
        }
    }

    private static int clamp(int value, int low, int high) {
        return Math.max(low, Math.min(high, value));
    }
}
