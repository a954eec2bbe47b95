package dev.demitasse.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.BlockOrder;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RowReader;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A weight matrix packed for CPU devices: panels of 16 rows, interleaved so that one vector register holds several rows
 * and sums need no horizontal addition.
 *
 * <p>With {@code K} columns, padded to {@code P} (a multiple of 32 for integers, {@code K} itself else), and panels of
 * rows {@code r} = 0 … 15 (missing rows are zero):
 *
 * <ul>
 *   <li>F32, F16, BF16: {@code [panel][k][r]}
 *   <li>INT8: {@code [panel][k / 4][r][k % 4]}, 16 P bytes a panel
 *   <li>INT4: {@code [panel][k / 8][r][k % 4]}, 8 P bytes a panel; the low nibble holds columns 0 … 3 of the eight,
 *       the high nibble columns 4 … 7
 *   <li>scales and minimums: FP32, or FP16 where {@link #fp16Scales}, {@code [panel][group][r]}
 * </ul>
 *
 * <p>Padding columns hold integers that meet zero activations. {@link #unpackRow} and {@link #unpackIntegers} are the
 * inverse.
 */
public final class PackedMatrix implements AutoCloseable {
    /** Rows of a panel. */
    public static final int PANEL = 16;
    /** Columns of integer layouts are padded to a multiple of this. */
    public static final int COLUMN_MULTIPLE = 32;

    private static final VarHandle INTS = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;

    private final WeightLayout layout;
    private final int rows;
    private final int columns;
    private final int paddedColumns;
    private final int groups;
    private final HostMemory memory; // one block for all three
    private final MemorySegment quants;
    private final MemorySegment scales;
    private final MemorySegment mins;
    private final boolean fp16Scales;
    private final AtomicInteger maximum = new AtomicInteger();

    private PackedMatrix(WeightLayout layout, int rows, int columns, boolean fp16Scales) {
        this.fp16Scales = fp16Scales;
        this.layout = layout;
        this.rows = rows;
        this.columns = columns;
        this.paddedColumns = layout.element().quantized()
                ? (columns + COLUMN_MULTIPLE - 1) / COLUMN_MULTIPLE * COLUMN_MULTIPLE
                : columns;
        this.groups = layout.groups(paddedColumns);
        long scaleBytes = (long) panels() * groups * PANEL * (fp16Scales ? Short.BYTES : Float.BYTES);
        long minBytes = layout.minimum() ? scaleBytes : 0;
        long elementBytes = panels() * panelBytes();
        long scaleOffset = aligned(elementBytes);
        long minOffset = aligned(scaleOffset + scaleBytes);
        this.memory = HostMemory.allocate(minOffset + minBytes);
        this.quants = memory.segment().asSlice(0, elementBytes);
        this.scales = memory.segment().asSlice(scaleOffset, scaleBytes);
        this.mins = memory.segment().asSlice(minOffset, minBytes);
    }

    private static long aligned(long bytes) {
        return (bytes + HostMemory.ALIGNMENT - 1) / HostMemory.ALIGNMENT * HostMemory.ALIGNMENT;
    }

    /**
     * Packs a matrix in {@code layout}: exactly where it is the type's own layout or F32, else by rounding ({@link
     * RowReader}). Uses all cores.
     *
     * @throws dev.demitasse.exception.ModelFormatException where a weight or scale is not finite
     * @throws dev.demitasse.exception.UsageException where a weight is beyond the largest number of F16 (65,504) or
     *     BF16 (3.39e38)
     */
    public static PackedMatrix pack(MatrixSource source, WeightLayout layout) {
        PackedMatrix packed = new PackedMatrix(layout, source.rows(), source.columns(), false);
        try {
            IntStream panels = IntStream.range(0, packed.panels()).parallel();
            BlockOrder order =
                    layout.equals(source.type().layout()) ? source.type().order() : null;
            if (order != null) {
                packed.maximum.set(wordMaximum(layout));
                panels.forEach(panel -> packed.packWords(source, panel, order));
            } else if (layout.element().quantized()) {
                panels.forEach(panel -> packed.packIntegers(source.reader(layout), panel));
            } else {
                panels.forEach(panel -> packed.packFloats(source.reader(layout), panel));
            }
            return packed;
        } catch (RuntimeException | Error e) {
            packed.close();
            throw e;
        }
    }

    /**
     * A matrix of zeros in the layout of a type whose blocks of 32 columns go to the packed layout word by word, and
     * whose scales are FP16 and stay so, for a device that packs by itself; null for other types.
     */
    public static @Nullable PackedMatrix ofWords(MatrixSource source) {
        if (source.type().order() == null) {
            return null;
        }
        PackedMatrix packed = new PackedMatrix(source.type().layout(), source.rows(), source.columns(), true);
        packed.maximum.set(wordMaximum(packed.layout));
        return packed;
    }

    private static int wordMaximum(WeightLayout layout) {
        return layout.element() == WeightLayout.Element.INT4 ? 15 : 128;
    }

    private void packIntegers(RowReader reader, int panel) {
        byte[][] q = new byte[PANEL][paddedColumns];
        float[] rowScales = new float[groups];
        float[] rowMins = new float[groups];
        int largest = 0;
        for (int r = 0; r < PANEL && panel * PANEL + r < rows; r++) {
            reader.integers(panel * PANEL + r, q[r], rowScales, rowMins);
            for (int i = 0; i < columns; i++) {
                largest = Math.max(largest, Math.abs(q[r][i]));
            }
            long at = (long) panel * groups * PANEL + r;
            for (int g = 0; g < groups; g++) {
                scales.setAtIndex(FLOAT, at + (long) g * PANEL, rowScales[g]);
                if (layout.minimum()) {
                    mins.setAtIndex(FLOAT, at + (long) g * PANEL, rowMins[g]);
                }
            }
        }
        maximum.accumulateAndGet(largest, Math::max);
        interleave(q, panel);
    }

    /** Block by block, without unpacking to integers. */
    private void packWords(MatrixSource source, int panel, BlockOrder order) {
        long wordBytes = (long) COLUMN_MULTIPLE * PANEL * layout.element().bits() / 8;
        int scaleBytes = layout.minimum() ? 2 * Short.BYTES : Short.BYTES;
        for (int r = 0; r < PANEL && panel * PANEL + r < rows; r++) {
            int row = panel * PANEL + r;
            long block = row * source.type().rowBytes(columns);
            for (int g = 0; g < groups; g++) {
                long to = panel * panelBytes() + g * wordBytes + r * 4L;
                packBlock(order, source.data(), block + scaleBytes, to);
                long index = ((long) panel * groups + g) * PANEL + r;
                scales.setAtIndex(FLOAT, index, source.scaleAt(row, block));
                if (layout.minimum()) {
                    mins.setAtIndex(FLOAT, index, source.scaleAt(row, block + Short.BYTES));
                }
                block += source.type().blockBytes();
            }
        }
    }

    /** A block's words, each 64 bytes after the one before: 4 of INT4, 8 of INT8. */
    private void packBlock(BlockOrder order, MemorySegment block, long from, long to) {
        switch (order) {
            case NIBBLES -> {
                for (int i = 0; i < 2; i++) { // columns 8 i and on, and those 16 further
                    int first = block.get(INT, from + i * 8L);
                    int second = block.get(INT, from + i * 8L + 4);
                    quants.set(INT, to + i * 64L, first & 0x0F0F0F0F | (second & 0x0F0F0F0F) << 4);
                    quants.set(INT, to + i * 64L + 128, first >>> 4 & 0x0F0F0F0F | second & 0xF0F0F0F0);
                }
            }
            case BYTES -> {
                for (int i = 0; i < 8; i++) {
                    quants.set(INT, to + i * 64L, block.get(INT, from + i * 4L));
                }
            }
        }
    }

    private void interleave(byte[][] q, int panel) {
        MemorySegment out = quants;
        long at = panel * panelBytes();
        if (layout.element() == WeightLayout.Element.INT8) {
            for (int k = 0; k < paddedColumns; k += 4) {
                for (int r = 0; r < PANEL; r++) {
                    out.set(INT, at + k * 16L + r * 4L, (int) INTS.get(q[r], k));
                }
            }
        } else {
            for (int k = 0; k < paddedColumns; k += 8) {
                for (int r = 0; r < PANEL; r++) {
                    int low = (int) INTS.get(q[r], k);
                    int high = (int) INTS.get(q[r], k + 4);
                    out.set(INT, at + k * 8L + r * 4L, low | high << 4);
                }
            }
        }
    }

    private void packFloats(RowReader reader, int panel) {
        boolean wide = layout.element() == WeightLayout.Element.F32;
        short[] narrow = new short[wide ? 0 : columns];
        for (int r = 0; r < PANEL && panel * PANEL + r < rows; r++) {
            long at = (long) panel * columns * PANEL + r;
            if (wide) {
                float[] values = reader.floats(panel * PANEL + r);
                for (int k = 0; k < columns; k++) {
                    quants.setAtIndex(FLOAT, at + (long) k * PANEL, values[k]);
                }
            } else {
                reader.narrow(panel * PANEL + r, narrow);
                for (int k = 0; k < columns; k++) {
                    quants.setAtIndex(SHORT, at + (long) k * PANEL, narrow[k]);
                }
            }
        }
    }

    /** The values of a row as FP32; {@code out} has {@link #columns()} elements. */
    public void unpackRow(int row, float[] out) {
        if (layout.element().quantized()) {
            byte[] q = new byte[paddedColumns];
            float[] rowScales = new float[groups];
            float[] rowMins = new float[groups];
            unpackIntegers(row, q, rowScales, rowMins);
            int group = group();
            for (int k = 0; k < columns; k++) {
                float value = rowScales[k / group] * (q[k] - layout.zero());
                out[k] = layout.minimum() ? value + rowMins[k / group] : value;
            }
            return;
        }
        MemorySegment in = quants;
        long at = (long) (row / PANEL) * columns * PANEL + row % PANEL;
        for (int k = 0; k < columns; k++) {
            long index = at + (long) k * PANEL;
            out[k] = switch (layout.element()) {
                case F32 -> in.getAtIndex(FLOAT, index);
                case F16 -> Float.float16ToFloat(in.getAtIndex(SHORT, index));
                default -> Float.intBitsToFloat(in.getAtIndex(SHORT, index) << 16);
            };
        }
    }

    /** The integers ({@link #paddedColumns()} of them), scales and minimums ({@link #groups()}) of a row. */
    public void unpackIntegers(int row, byte[] q, float[] rowScales, float[] rowMins) {
        int panel = row / PANEL;
        int r = row % PANEL;
        MemorySegment in = quants;
        long at = panel * panelBytes() + r * 4L;
        for (int k = 0; k < paddedColumns; k++) {
            if (layout.element() == WeightLayout.Element.INT8) {
                q[k] = in.get(JAVA_BYTE, at + k / 4 * 64L + k % 4);
            } else {
                int pair = in.get(JAVA_BYTE, at + k / 8 * 64L + k % 4);
                q[k] = (byte) ((k & 4) == 0 ? pair & 15 : pair >> 4 & 15);
            }
        }
        for (int g = 0; g < groups; g++) {
            long index = ((long) panel * groups + g) * PANEL + r;
            rowScales[g] = scale(scales, index);
            rowMins[g] = layout.minimum() ? scale(mins, index) : 0;
        }
    }

    private float scale(MemorySegment memory, long index) {
        return fp16Scales ? Float.float16ToFloat(memory.getAtIndex(SHORT, index)) : memory.getAtIndex(FLOAT, index);
    }

    /**
     * Whether scales and minimums are FP16; only for devices that have packed the matrix themselves ({@link #ofWords}).
     */
    public boolean fp16Scales() {
        return fp16Scales;
    }

    /** The layout. */
    public WeightLayout layout() {
        return layout;
    }

    /** Rows (outputs). */
    public int rows() {
        return rows;
    }

    /** Columns (inputs). */
    public int columns() {
        return columns;
    }

    /** Columns with padding. */
    public int paddedColumns() {
        return paddedColumns;
    }

    /** Groups of a row; 0 for floating-point layouts. */
    public int groups() {
        return groups;
    }

    /** Columns of a group. */
    public int group() {
        return layout.group() == WeightLayout.ROW ? paddedColumns : layout.group();
    }

    /** Panels of 16 rows. */
    public int panels() {
        return (rows + PANEL - 1) / PANEL;
    }

    /** Bytes of the elements of one panel. */
    public long panelBytes() {
        return (long) PANEL * paddedColumns * layout.element().bits() / 8;
    }

    /** The largest magnitude among the integers: what a kernel may rely on so that narrow sums do not overflow. */
    public int maximumMagnitude() {
        return maximum.get();
    }

    /** Bytes of elements, scales and minimums. */
    public long bytes() {
        return quants.byteSize() + scales.byteSize() + mins.byteSize();
    }

    /** The elements. */
    public MemorySegment quants() {
        return quants;
    }

    /** The scales. */
    public MemorySegment scales() {
        return scales;
    }

    /** The minimums; empty where the layout has none. */
    public MemorySegment mins() {
        return mins;
    }

    @Override
    public void close() {
        memory.close();
    }
}
