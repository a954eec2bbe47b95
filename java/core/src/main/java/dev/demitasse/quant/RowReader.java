package dev.demitasse.quant;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UsageException;

/**
 * The rows of a matrix as a device takes them, whatever the file's type: integers, scales and minimums of an integer
 * layout, or the numbers of a floating-point one. Integers of the type's own layout are taken over exactly, others are
 * rounded ({@link RoundToNearest}).
 *
 * <p>Not thread-safe: a device makes one for each of its threads ({@link MatrixSource#reader}).
 */
public final class RowReader {
    private static final float F16_MAXIMUM = 65504;
    private static final float BF16_MAXIMUM = Float.intBitsToFloat(0x7F7F0000);

    private final MatrixSource source;
    private final WeightLayout layout;
    private final boolean exact;
    private final float[] values;

    RowReader(MatrixSource source, WeightLayout layout) {
        this.source = source;
        this.layout = layout;
        this.exact = layout.equals(source.type().layout());
        this.values = layout.element().quantized() && exact ? new float[0] : new float[source.columns()];
    }

    /**
     * The integers of a row, INT4 ones 0 … 15.
     *
     * @param row which row, from 0
     * @param q receives one integer a column; further elements, padding, become zero points where the row is rounded
     * @param scales receives one scale for each of the layout's groups
     * @param mins receives one minimum a group, where the layout has them
     * @throws ModelFormatException where a weight or scale is not finite
     */
    public void integers(int row, byte[] q, float[] scales, float[] mins) {
        if (exact) {
            source.decodeRow(row, q, scales, mins);
        } else {
            finite(row);
            RoundToNearest.quantize(values, layout, q, scales, mins);
        }
    }

    /**
     * {@return the numbers of a row in FP32; the array is used again}
     *
     * @param row which row, from 0
     * @throws ModelFormatException where a weight is not finite
     */
    public float[] floats(int row) {
        finite(row);
        return values;
    }

    /**
     * The numbers of a row in the layout's 16-bit type, rounded to nearest, ties to even.
     *
     * @param row which row, from 0
     * @param out receives the bits of each column
     * @throws ModelFormatException where a weight is not finite
     * @throws UsageException where a weight is beyond the type's largest number
     */
    public void narrow(int row, short[] out) {
        finite(row);
        boolean f16 = layout.element() == WeightLayout.Element.F16;
        source.requireWithin(row, values, f16 ? F16_MAXIMUM : BF16_MAXIMUM, layout);
        for (int k = 0; k < values.length; k++) {
            out[k] = f16 ? Float.floatToFloat16(values[k]) : Bf16.nearest(values[k]);
        }
    }

    private void finite(int row) {
        source.dequantizeRow(row, values);
        source.requireFinite(row, values);
    }
}
