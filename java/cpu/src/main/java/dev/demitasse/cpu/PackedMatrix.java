package dev.demitasse.cpu;

import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.BlockOrder;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RowReader;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A weight matrix packed for CPU devices: panels of 16 rows, interleaved so that one vector register holds several rows
 * and sums need no horizontal addition.
 *
 * <p>With {@code K} columns, padded to {@code P} (a multiple of 32 for integers, {@code K} itself else), and panels of
 * rows {@code r} = 0 … 15 (missing rows have scales of zero):
 *
 * <ul>
 *   <li>F32, F16, BF16: {@code [panel][k][r]}
 *   <li>INT8: {@code [panel][k / 4][r][k % 4]}, 16 P bytes a panel
 *   <li>INT4: {@code [panel][k / 8][r][k % 4]}, 8 P bytes a panel; the low nibble holds columns 0 … 3 of the eight,
 *       the high nibble columns 4 … 7
 *   <li>INT8 of fewer bits ({@link PackedElement}): IQ4 and FP4 as INT4; INT6 of each 16 columns the lower four bits as
 *       INT4 has them, and then {@code [r][k % 4]} upper ones, bits 2 i and 2 i + 1 those of the i-th four columns
 *   <li>scales and minimums: {@code [panel][group][r]}, see {@link ScaleType}
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

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;

    private final WeightLayout layout;
    private final int rows;
    private final int columns;
    private final int paddedColumns;
    private final int groups;
    private final HostMemory memory; // one block for all
    private final MemorySegment quants;
    private final PackedScales scales;
    private final PackedScales mins;
    private final ScaleType scaleType;
    private final PackedElement element;
    private final AtomicInteger maximum = new AtomicInteger();

    private PackedMatrix(WeightLayout layout, int rows, int columns, ScaleType scaleType, PackedElement element) {
        this.scaleType = scaleType;
        this.element = element;
        this.layout = layout;
        this.rows = rows;
        this.columns = columns;
        this.paddedColumns = layout.element().quantized()
                ? (columns + COLUMN_MULTIPLE - 1) / COLUMN_MULTIPLE * COLUMN_MULTIPLE
                : columns;
        this.groups = layout.groups(paddedColumns);
        int supers = (paddedColumns + PackedScales.SUPER - 1) / PackedScales.SUPER;
        long scaleBytes = (long) panels() * groups * PANEL * scaleType.bytes();
        long superBytes = PackedScales.superBytes(scaleType, panels(), supers);
        long elementBytes = panels() * panelBytes();
        int kinds = layout.minimum() ? 2 : 1;
        long first = aligned(elementBytes);
        this.memory = HostMemory.allocate(first + kinds * (aligned(scaleBytes) + aligned(superBytes)));
        MemorySegment all = memory.segment();
        this.quants = all.asSlice(0, elementBytes);
        long second = first + aligned(scaleBytes) + aligned(superBytes);
        PackedScales[] both = new PackedScales[2];
        for (int i = 0; i < 2; i++) {
            boolean there = i < kinds;
            long from = there ? i == 0 ? first : second : 0;
            both[i] = new PackedScales(
                    scaleType,
                    groups,
                    supers,
                    all.asSlice(from, there ? scaleBytes : 0),
                    all.asSlice(there ? from + aligned(scaleBytes) : 0, there ? superBytes : 0));
        }
        this.scales = both[0];
        this.mins = both[1];
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
        return Objects.requireNonNull(
                pack(source, layout, ScaleType.FP32, PackedElement.of(layout.element()), new Misfits()));
    }

    /**
     * The same with INT8 in fewer bits, and scales of FP16 or INT8, where those hold all of the matrix exactly: for a
     * device that reads all of these. The first row tells what is tried.
     */
    public static PackedMatrix packNarrow(MatrixSource source, WeightLayout layout) {
        List<ScaleType> types = source.type().superScaleOffset() < 0
                ? List.of(ScaleType.FP16, ScaleType.FP32)
                : List.of(ScaleType.INT8, ScaleType.FP16, ScaleType.FP32);
        return packExact(source, layout, types, PackedElement.FP4, PackedElement.IQ4, PackedElement.INT6);
    }

    /** The same with scales of FP32: for a device that reads INT8, and levels of a table. */
    public static PackedMatrix packLevels(MatrixSource source, WeightLayout layout) {
        return packExact(source, layout, List.of(ScaleType.FP32), PackedElement.FP4, PackedElement.IQ4);
    }

    /** In the first types that hold all exactly; {@code narrow} are elements to try for INT8. */
    private static PackedMatrix packExact(
            MatrixSource source, WeightLayout layout, List<ScaleType> types, PackedElement... narrow) {
        if (!layout.element().quantized() || !layout.equals(source.type().layout())) {
            return pack(source, layout);
        }
        List<PackedElement> elements = new ArrayList<>();
        if (layout.element() == WeightLayout.Element.INT8) {
            elements.addAll(List.of(narrow));
        }
        elements.add(PackedElement.of(layout.element()));
        int type = 0;
        int element = 0;
        while (true) {
            Misfits misfits = new Misfits();
            PackedMatrix first = pack(source.rows(0, 1), layout, types.get(type), elements.get(element), misfits);
            PackedMatrix all =
                    first == null ? null : pack(source, layout, types.get(type), elements.get(element), misfits);
            if (first != null) {
                first.close();
            }
            if (all != null) {
                return all;
            }
            type += misfits.scales.get() ? 1 : 0;
            element += misfits.elements.get() ? 1 : 0;
        }
    }

    /** What of a matrix a form does not hold. */
    private static final class Misfits {
        final AtomicBoolean scales = new AtomicBoolean();
        final AtomicBoolean elements = new AtomicBoolean();
    }

    /** Null where the form does not hold the matrix exactly. */
    private static @Nullable PackedMatrix pack(
            MatrixSource source, WeightLayout layout, ScaleType scaleType, PackedElement element, Misfits misfits) {
        PackedMatrix packed = new PackedMatrix(layout, source.rows(), source.columns(), scaleType, element);
        try {
            IntStream panels = IntStream.range(0, packed.panels()).parallel();
            BlockOrder order =
                    layout.equals(source.type().layout()) ? source.type().order() : null;
            boolean plain = scaleType == ScaleType.FP32 && element == PackedElement.of(layout.element());
            if (order != null && plain) {
                packed.maximum.set(wordMaximum(layout));
                panels.forEach(panel -> packed.packWords(source, panel, order));
            } else if (layout.element().quantized()) {
                boolean exact =
                        panels.allMatch(panel -> packed.packIntegers(source, source.reader(layout), panel, misfits));
                if (!exact) {
                    packed.close();
                    return null;
                }
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
        PackedMatrix packed = new PackedMatrix(
                source.type().layout(),
                source.rows(),
                source.columns(),
                ScaleType.FP16,
                PackedElement.of(source.type().layout().element()));
        packed.maximum.set(wordMaximum(packed.layout));
        return packed;
    }

    private static int wordMaximum(WeightLayout layout) {
        return layout.element() == WeightLayout.Element.INT4 ? 15 : 128;
    }

    /** Whether all of the panel is exact. */
    private boolean packIntegers(MatrixSource source, RowReader reader, int panel, Misfits misfits) {
        byte[][] q = new byte[PANEL][paddedColumns];
        float[] rowScales = new float[groups];
        float[] rowMins = new float[groups];
        int largest = 0;
        boolean elementsFit = true;
        boolean scalesFit = true;
        for (int r = 0; r < PANEL && panel * PANEL + r < rows; r++) {
            int row = panel * PANEL + r;
            reader.integers(row, q[r], rowScales, rowMins);
            for (int i = 0; i < columns; i++) {
                largest = Math.max(largest, Math.abs(q[r][i]));
                elementsFit &= element.holds(q[r][i]);
            }
            if (scaleType != ScaleType.FP32) {
                layout.dropScalesOfZeros(q[r], rowScales);
            }
            int scaleAt = source.type().superScaleOffset();
            scalesFit &= scales.store(row, rowScales, multiples(source, row, scaleAt));
            if (layout.minimum()) {
                int minAt = source.type().superMinOffset();
                scalesFit &= mins.store(row, rowMins, multiples(source, row, minAt));
            }
        }
        maximum.accumulateAndGet(largest, Math::max);
        if (!elementsFit) {
            misfits.elements.set(true);
        }
        if (!scalesFit) {
            misfits.scales.set(true);
        }
        if (elementsFit && scalesFit) {
            interleave(q, panel);
        }
        return elementsFit && scalesFit;
    }

    /** The FP16 numbers at an offset of a row's blocks, where scales are multiples of them. */
    private float[] multiples(MatrixSource source, int row, int offset) {
        if (scaleType != ScaleType.INT8) {
            return new float[0];
        }
        float[] multiples = new float[columns / PackedScales.SUPER];
        long at = row * source.type().rowBytes(columns) + offset;
        for (int i = 0; i < multiples.length; i++) {
            multiples[i] = source.scaleAt(row, at + (long) i * source.type().blockBytes());
        }
        return multiples;
    }

    /** Block by block, without unpacking to integers. */
    private void packWords(MatrixSource source, int panel, BlockOrder order) {
        long wordBytes = (long) COLUMN_MULTIPLE * PANEL * layout.element().bits() / 8;
        int scaleBytes = layout.minimum() ? 2 * Short.BYTES : Short.BYTES;
        for (int r = 0; r < PANEL && panel * PANEL + r < rows; r++) {
            int row = panel * PANEL + r;
            long block = row * source.type().rowBytes(columns);
            float[] rowScales = new float[groups];
            float[] rowMins = new float[groups];
            for (int g = 0; g < groups; g++) {
                long to = panel * panelBytes() + g * wordBytes + r * 4L;
                packBlock(order, source.data(), block + scaleBytes, to);
                rowScales[g] = source.scaleAt(row, block);
                rowMins[g] = layout.minimum() ? source.scaleAt(row, block + Short.BYTES) : 0;
                block += source.type().blockBytes();
            }
            scales.store(row, rowScales, rowScales);
            if (layout.minimum()) {
                mins.store(row, rowMins, rowMins);
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
        long at = panel * panelBytes();
        for (int r = 0; r < PANEL; r++) {
            if (element.table() != null) {
                for (int k = 0; k < columns; k++) {
                    q[r][k] = element.place(q[r][k]);
                }
            }
            for (int k = 0; k < paddedColumns; k += element.columnsAtOnce()) {
                element.store(q[r], k, quants, at + (long) k * PANEL * element.bits() / 8 + r * 4L);
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
            q[k] = element.load(in, at, k);
        }
        for (int g = 0; g < groups; g++) {
            rowScales[g] = scales.get(panel, r, g);
            rowMins[g] = layout.minimum() ? mins.get(panel, r, g) : 0;
        }
    }

    /** How scales and minimums are stored; FP32 but for {@link #ofWords} and {@link #packNarrow}. */
    public ScaleType scaleType() {
        return scaleType;
    }

    /** How elements are stored; as the layout has them but for {@link #packNarrow} and {@link #packLevels}. */
    public PackedElement element() {
        return element;
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
        return (long) PANEL * paddedColumns * element.bits() / 8;
    }

    /** The largest magnitude among the integers: what a kernel may rely on so that narrow sums do not overflow. */
    public int maximumMagnitude() {
        return maximum.get();
    }

    /** Bytes of elements, scales and minimums. */
    public long bytes() {
        return quants.byteSize()
                + scales.values().byteSize()
                + scales.superValues().byteSize()
                + mins.values().byteSize()
                + mins.superValues().byteSize();
    }

    /** The elements. */
    public MemorySegment quants() {
        return quants;
    }

    /** The scales. */
    public MemorySegment scales() {
        return scales.values();
    }

    /** What scales are multiples of; empty where they are stored as they are. */
    public MemorySegment superScales() {
        return scales.superValues();
    }

    /** The minimums; empty where the layout has none. */
    public MemorySegment mins() {
        return mins.values();
    }

    /** What minimums are multiples of; empty where they are stored as they are. */
    public MemorySegment superMins() {
        return mins.superValues();
    }

    @Override
    public void close() {
        memory.close();
    }
}
