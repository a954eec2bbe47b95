package dev.demitasse.reference;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.demitasse.device.LinearWeight;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RowReader;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;

/**
 * A matrix in its plainest order: rows of elements, integers a byte each, and beside them rows of scales and minimums.
 */
final class ReferenceWeight implements LinearWeight {
    private final WeightLayout layout;
    private final int rows;
    private final int columns;
    private final int groups;
    private final HostMemory elements;
    private final HostMemory scales;
    private final HostMemory mins;

    ReferenceWeight(MatrixSource source, WeightLayout layout) {
        this.layout = layout;
        this.rows = source.rows();
        this.columns = source.columns();
        this.groups = layout.groups(columns);
        long elementBytes = layout.element().quantized() ? 1 : layout.element().bits() / Byte.SIZE;
        long scaleBytes = (long) rows * groups * Float.BYTES;
        HostMemory[] blocks =
                HostMemory.allocateAll(elementBytes * rows * columns, scaleBytes, layout.minimum() ? scaleBytes : 0);
        elements = blocks[0];
        scales = blocks[1];
        mins = blocks[2];
        try {
            RowReader reader = source.reader(layout);
            for (int row = 0; row < rows; row++) {
                load(reader, row);
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private void load(RowReader reader, int row) {
        long at = (long) row * columns;
        switch (layout.element()) {
            case F32 ->
                MemorySegment.copy(reader.floats(row), 0, elements.segment(), JAVA_FLOAT, at * Float.BYTES, columns);
            case F16, BF16 -> {
                short[] narrow = new short[columns];
                reader.narrow(row, narrow);
                MemorySegment.copy(narrow, 0, elements.segment(), JAVA_SHORT, at * Short.BYTES, columns);
            }
            case INT8, INT4 -> {
                byte[] q = new byte[columns];
                float[] rowScales = new float[groups];
                float[] rowMins = new float[groups];
                reader.integers(row, q, rowScales, rowMins);
                MemorySegment.copy(q, 0, elements.segment(), JAVA_BYTE, at, columns);
                long group = (long) row * groups * Float.BYTES;
                MemorySegment.copy(rowScales, 0, scales.segment(), JAVA_FLOAT, group, groups);
                if (layout.minimum()) {
                    MemorySegment.copy(rowMins, 0, mins.segment(), JAVA_FLOAT, group, groups);
                }
            }
        }
    }

    /** The values of a row; {@code out} has {@link #columns()} elements. */
    void values(int row, float[] out) {
        long at = (long) row * columns;
        MemorySegment from = elements.segment();
        for (int k = 0; k < columns; k++) {
            out[k] = switch (layout.element()) {
                case F32 -> from.getAtIndex(JAVA_FLOAT, at + k);
                case F16 -> Float.float16ToFloat(from.getAtIndex(JAVA_SHORT, at + k));
                case BF16 -> Float.intBitsToFloat(from.getAtIndex(JAVA_SHORT, at + k) << 16);
                case INT8, INT4 -> {
                    float value = scale(row, k / group()) * (from.get(JAVA_BYTE, at + k) - layout.zero());
                    yield layout.minimum() ? value + minimum(row, k / group()) : value;
                }
            };
        }
    }

    /** The integers of a row, {@link #columns()} of them. */
    void integers(int row, byte[] out) {
        MemorySegment.copy(elements.segment(), JAVA_BYTE, (long) row * columns, out, 0, columns);
    }

    /** Columns of a group. */
    int group() {
        return layout.group() == WeightLayout.ROW ? columns : layout.group();
    }

    float scale(int row, int group) {
        return scales.segment().getAtIndex(JAVA_FLOAT, (long) row * groups + group);
    }

    /** The minimum of a group; 0 where the layout has none. */
    float minimum(int row, int group) {
        return layout.minimum() ? mins.segment().getAtIndex(JAVA_FLOAT, (long) row * groups + group) : 0;
    }

    @Override
    public int rows() {
        return rows;
    }

    @Override
    public int columns() {
        return columns;
    }

    @Override
    public WeightLayout layout() {
        return layout;
    }

    @Override
    public long bytes() {
        return elements.bytes() + scales.bytes() + mins.bytes();
    }

    @Override
    public void close() {
        elements.close();
        scales.close();
        mins.close();
    }
}
