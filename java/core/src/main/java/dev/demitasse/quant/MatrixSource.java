package dev.demitasse.quant;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UsageException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * A matrix in rows as a file or an application holds it: {@code rows} × {@code columns}, a tensor type, and its bytes.
 *
 * @param name what it is called, for messages
 * @param type how its elements are stored
 * @param rows outputs
 * @param columns inputs
 * @param data rows × {@link TensorType#rowBytes} bytes
 * @param factor multiplies all elements; 1 but for quantized types whose blocks no device takes over as they are
 */
public record MatrixSource(String name, TensorType type, int rows, int columns, MemorySegment data, float factor) {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Checks that the bytes are there. */
    public MatrixSource {
        if (rows < 1 || columns < 1 || columns % type.blockElements() != 0) {
            throw new UsageException(name + ": no matrix has " + rows + " rows of " + columns + " " + type);
        }
        if (data.byteSize() != type.rowBytes(columns) * rows) {
            throw new UsageException(
                    name + ": " + data.byteSize() + " bytes are not " + rows + " rows of " + columns + " " + type);
        }
        if (factor != 1 && (type.codec() == null || type.order() != null)) {
            throw new UsageException(name + ": a matrix of " + type + " has no factor");
        }
    }

    /**
     * A matrix as it is.
     *
     * @param name what it is called, for messages
     * @param type how its elements are stored
     * @param rows outputs
     * @param columns inputs
     * @param data rows × {@link TensorType#rowBytes} bytes
     */
    public MatrixSource(String name, TensorType type, int rows, int columns, MemorySegment data) {
        this(name, type, rows, columns, data, 1);
    }

    /**
     * {@return the matrix times a factor}
     *
     * @param by the factor; only 1 for types whose matrices have none ({@link #factor})
     */
    public MatrixSource times(float by) {
        return new MatrixSource(name, type, rows, columns, data, factor * by);
    }

    /**
     * {@return the matrix of {@code count} rows from {@code first} on}
     *
     * @param first the first row, from 0
     * @param count how many rows, at least 1
     */
    public MatrixSource rows(int first, int count) {
        long rowBytes = type.rowBytes(columns);
        return new MatrixSource(name, type, count, columns, data.asSlice(first * rowBytes, count * rowBytes), factor);
    }

    /**
     * {@return a reader of the rows as {@code layout} has them}
     *
     * @param layout how they are wanted
     */
    public RowReader reader(WeightLayout layout) {
        return new RowReader(this, layout);
    }

    /**
     * Decodes a row of a quantized type into integers, scales and minimums (see {@link BlockCodec}).
     *
     * @throws ModelFormatException where a scale or minimum is not finite
     */
    void decodeRow(int row, byte[] q, float[] scales, float[] mins) {
        BlockCodec codec = codec();
        if (codec == null) {
            throw new IllegalStateException(type + " has no integers");
        }
        int blocks = columns / type.blockElements();
        int groupsPerBlock = type.layout().groups(type.blockElements());
        long at = row * type.rowBytes(columns);
        for (int b = 0; b < blocks; b++) {
            codec.decode(data, at, q, b * type.blockElements(), scales, mins, b * groupsPerBlock);
            at += type.blockBytes();
        }
        int groups = blocks * groupsPerBlock;
        for (int g = 0; g < groups; g++) {
            if (factor != 1) {
                scales[g] *= factor;
                mins[g] *= factor;
            }
            if (!Float.isFinite(scales[g]) || type.layout().minimum() && !Float.isFinite(mins[g])) {
                throw notFinite(row, "scale");
            }
        }
    }

    /**
     * {@return the FP16 scale or minimum at byte {@code at} of the data, in row {@code row}}
     *
     * @param row which row, for the message
     * @param at offset in {@link #data}
     * @throws ModelFormatException where it is not finite
     */
    public float scaleAt(int row, long at) {
        float value = Float.float16ToFloat(data.get(SHORT, at));
        if (!Float.isFinite(value)) {
            throw notFinite(row, "scale");
        }
        return value;
    }

    /**
     * The values of a row as FP32, exact.
     *
     * @param row which row, from 0
     * @param out receives the columns, from its beginning on
     */
    public void dequantizeRow(int row, float[] out) {
        long at = row * type.rowBytes(columns);
        switch (type) {
            case F32 -> MemorySegment.copy(data, FLOAT, at, out, 0, columns);
            case F16, BF16 -> {
                short[] bits = new short[columns]; // an array at hand, so that the loops become vectors
                MemorySegment.copy(data, SHORT, at, bits, 0, columns);
                if (type == TensorType.F16) {
                    for (int i = 0; i < columns; i++) {
                        out[i] = Float.float16ToFloat(bits[i]);
                    }
                } else {
                    for (int i = 0; i < columns; i++) {
                        out[i] = Float.intBitsToFloat(bits[i] << 16);
                    }
                }
            }
            default -> dequantizeIntegers(row, out);
        }
    }

    /** Fails where a floating-point row holds NaN or infinity. */
    void requireFinite(int row, float[] values) {
        for (int i = 0; i < columns; i++) {
            if (!Float.isFinite(values[i])) {
                throw notFinite(row, "weight");
            }
        }
    }

    /** Fails where a row holds a weight that a layout cannot. */
    void requireWithin(int row, float[] values, float limit, WeightLayout layout) {
        for (int i = 0; i < columns; i++) {
            if (Math.abs(values[i]) > limit) {
                throw new UsageException("\"" + name + "\" has a weight of " + values[i] + " in row " + row + "; "
                        + layout + " holds at most " + limit + ". Choose another layout.");
            }
        }
    }

    private void dequantizeIntegers(int row, float[] out) {
        WeightLayout layout = type.layout();
        int groups = layout.groups(columns);
        byte[] q = new byte[columns];
        float[] scales = new float[groups];
        float[] mins = new float[groups];
        decodeRow(row, q, scales, mins);
        int zero = layout.zero();
        int length = layout.group() == WeightLayout.ROW ? columns : layout.group();
        for (int g = 0; g < groups; g++) {
            int end = Math.min(columns, (g + 1) * length);
            float scale = scales[g];
            if (layout.minimum()) {
                float min = mins[g];
                for (int i = g * length; i < end; i++) {
                    out[i] = scale * (q[i] - zero) + min;
                }
            } else {
                for (int i = g * length; i < end; i++) {
                    out[i] = scale * (q[i] - zero);
                }
            }
        }
    }

    private @Nullable BlockCodec codec() {
        return type.codec();
    }

    /**
     * {@return what is thrown where a weight or scale is NaN or infinite}
     *
     * @param row which row, from 0
     * @param what {@code weight} or {@code scale}
     */
    public ModelFormatException notFinite(int row, String what) {
        return new ModelFormatException("Tensor \"" + name + "\" has a " + what + " in row " + row
                + " that is NaN or infinite; the file is damaged.");
    }
}
