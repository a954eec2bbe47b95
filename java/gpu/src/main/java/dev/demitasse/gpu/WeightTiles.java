package dev.demitasse.gpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.BlockOrder;
import dev.demitasse.quant.LevelTable;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RowReader;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Integer weights in the order in which a GPU's lanes read them ({@link WeightOrder}), made from a matrix's neutral
 * rows, or word by word from blocks whose order allows it; {@link #value} is the way back, for tests.
 *
 * <p>Scales and minimums lie apart, by tile, or {@code [output]} where a row has one.
 */
public final class WeightTiles implements AutoCloseable {
    private static final int NIBBLE_ZEROS = 0x88888888; // nibbles are signed: the integer less 8

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INTS = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    private final MatrixSource source;
    private final WeightLayout layout;
    private final WeightOrder order;
    private final GpuElement element;
    private final @Nullable LevelTable table; // where integers are places of it
    private final int words; // of an output and 32 columns
    private final int tileBytes;
    private final int columns; // of a tile
    private final int tiles; // of a row
    private final int outputTiles;
    private final int group; // columns that share a scale on the device: 16 or 32; 0 for a row
    private final int groups; // scales of a row on the device
    private final HostMemory quants;
    private final HostMemory scales; // scales, then minimums
    private final boolean fp16Scales;

    /**
     * Packs a matrix, with all cores.
     *
     * @param order how integers lie
     * @param group columns that share a scale on the device, 16 or 32, or 0 for all ({@link #groupOf})
     * @param wide whether scales are FP32 even where FP16 is exact
     * @param table the levels that all integers are, which are stored as their places; null for none
     * @throws dev.demitasse.exception.ModelFormatException where a weight or scale is not finite
     */
    public WeightTiles(
            MatrixSource source,
            WeightLayout layout,
            WeightOrder order,
            int group,
            boolean wide,
            @Nullable LevelTable table) {
        this.source = source;
        this.layout = layout;
        this.order = order;
        this.element = GpuElement.of(layout, table);
        this.table = table;
        this.words = element.bits();
        this.columns = order.columns(element);
        this.tileBytes = order.outputs() * columns * element.bits() / Byte.SIZE;
        this.tiles = (source.columns() + columns - 1) / columns;
        this.outputTiles = (source.rows() + order.outputs() - 1) / order.outputs();
        this.group = group;
        this.groups = group == 0 ? 1 : tiles * (columns / group);
        this.quants = HostMemory.allocate((long) outputTiles * tiles * tileBytes);
        HostMemory fp32 = null;
        HostMemory narrow = null;
        try {
            fp32 = HostMemory.allocate(2 * scaleBytes(Float.BYTES));
            pack(fp32.segment());
            fp16Scales = !wide && exactInFp16(fp32.segment());
            narrow = fp16Scales ? toFp16(fp32.segment()) : null;
            scales = narrow == null ? fp32 : narrow;
        } catch (RuntimeException | Error e) {
            quants.close();
            if (fp32 != null) {
                fp32.close();
            }
            throw e;
        }
        if (narrow != null) {
            fp32.close();
        }
    }

    /**
     * Columns that share a scale on the device: 16 or 32; longer groups repeat theirs. 0, one scale a row, where the
     * weights have that and {@code perRow} says that activations have too.
     */
    public static int groupOf(WeightLayout layout, boolean perRow) {
        return layout.group() == WeightLayout.ROW ? perRow ? 0 : 32 : Math.min(layout.group(), 32);
    }

    /** Bytes of the scales, padded to 16, where each has so many. */
    private long scaleBytes(int each) {
        return ((long) outputTiles * order.outputs() * groups * each + 15) / 16 * 16;
    }

    private void pack(MemorySegment wide) {
        BlockOrder blocks =
                layout.equals(source.type().layout()) ? source.type().order() : null;
        IntStream all = IntStream.range(0, outputTiles).parallel();
        all.forEach(tile -> eachRow(tile, blocks != null ? packer(blocks, wide) : packer(wide)));
    }

    private void eachRow(int outputTile, IntConsumer packer) {
        int last = Math.min(source.rows(), (outputTile + 1) * order.outputs());
        for (int row = outputTile * order.outputs(); row < last; row++) {
            packer.accept(row);
        }
    }

    /** Takes rows over through their integers. */
    private IntConsumer packer(MemorySegment wide) {
        RowReader reader = source.reader(layout);
        byte[] q = new byte[tiles * columns];
        float[] rowScales = new float[layout.groups(source.columns())];
        float[] rowMins = new float[rowScales.length];
        return row -> {
            reader.integers(row, q, rowScales, rowMins);
            layout.dropScalesOfZeros(q, rowScales);
            for (int g = 0; g < q.length / WeightOrder.GROUP; g++) {
                Place place = placeOf(row, g);
                for (int word = 0; word < words; word++) {
                    quants.segment().set(INT, at(place, word), word(q, g * WeightOrder.GROUP + word * 4));
                }
            }
            putScales(wide, row, rowScales, rowMins);
        };
    }

    /** The word of four columns of a row, and of those 16 further where it holds these, too. */
    private int word(byte[] q, int column) {
        if (table != null) {
            return order.places(placesOf(table, q, column), placesOf(table, q, column + 16));
        }
        int first = (int) INTS.get(q, column);
        return element == GpuElement.INT4 ? (first | (int) INTS.get(q, column + 16) << 4) ^ NIBBLE_ZEROS : first;
    }

    /** The places of four columns' levels, a byte each. */
    private int placesOf(LevelTable levels, byte[] q, int column) {
        int all = 0;
        for (int i = 0; i < 4 && column + i < source.columns(); i++) {
            byte place = levels.place(q[column + i]);
            if (place < 0) {
                throw new IllegalStateException(
                        source.name() + ": " + q[column + i] + " is not a level of " + source.type());
            }
            all |= place << 8 * i;
        }
        return all;
    }

    /** Takes rows over through the words of their blocks. */
    private IntConsumer packer(BlockOrder blocks, MemorySegment wide) {
        MemorySegment data = source.data();
        int blockBytes = source.type().blockBytes();
        int scaleBytes = layout.minimum() ? 2 * Short.BYTES : Short.BYTES;
        float[] rowScales = new float[layout.groups(source.columns())];
        float[] rowMins = new float[rowScales.length];
        int zeros = blocks == BlockOrder.NIBBLES ? NIBBLE_ZEROS : 0;
        return row -> {
            long at = row * source.type().rowBytes(source.columns());
            for (int g = 0; g < rowScales.length; g++, at += blockBytes) {
                rowScales[g] = source.scaleAt(row, at);
                rowMins[g] = layout.minimum() ? source.scaleAt(row, at + Short.BYTES) : 0;
                Place place = placeOf(row, g);
                for (int word = 0; word < words; word++) {
                    int bits = data.get(INT, at + scaleBytes + word * 4L) ^ zeros;
                    quants.segment().set(INT, at(place, word), bits);
                }
            }
            putScales(wide, row, rowScales, rowMins);
        };
    }

    /** 32 columns of a row: where their tile begins, and which of it they are. */
    private record Place(long tile, int output, int group) {}

    private Place placeOf(int row, int g) {
        int each = columns / WeightOrder.GROUP;
        long tile = (long) (row / order.outputs()) * tiles + g / each;
        return new Place(tile * tileBytes, row % order.outputs(), g % each);
    }

    /** Where a word of them lies. */
    private long at(Place place, int word) {
        return place.tile + order.word(element.bits(), place.output, place.group, word);
    }

    /** Index of a scale of a row among all. */
    private long scaleIndex(int row, int g) {
        if (group == 0) {
            return row;
        }
        int each = columns / group;
        int outputs = order.outputs();
        return ((long) (row / outputs) * tiles + g / each) * outputs * each
                + order.scale(row % outputs, g % each, each);
    }

    private void putScales(MemorySegment wide, int row, float[] rowScales, float[] rowMins) {
        int length = layout.group() == WeightLayout.ROW ? Integer.MAX_VALUE : layout.group();
        for (int g = 0; g < groups; g++) {
            int from = g * group / length;
            if (from >= rowScales.length) {
                break; // columns beyond the matrix are zeros
            }
            wide.setAtIndex(JAVA_FLOAT, scaleIndex(row, g), rowScales[from]);
            if (layout.minimum()) {
                long index = scaleBytes(Float.BYTES) / Float.BYTES + scaleIndex(row, g);
                wide.setAtIndex(JAVA_FLOAT, index, rowMins[from]);
            }
        }
    }

    private static boolean exactInFp16(MemorySegment wide) {
        return IntStream.range(0, (int) (wide.byteSize() / Float.BYTES))
                .parallel()
                .allMatch(i -> {
                    float value = wide.getAtIndex(JAVA_FLOAT, i);
                    return Float.float16ToFloat(Float.floatToFloat16(value)) == value;
                });
    }

    private HostMemory toFp16(MemorySegment wide) {
        HostMemory narrow = HostMemory.allocate(2 * scaleBytes(Short.BYTES));
        long count = (long) outputTiles * order.outputs() * groups;
        for (int i = 0; i < (layout.minimum() ? 2 : 1); i++) {
            long from = i * scaleBytes(Float.BYTES) / Float.BYTES;
            long to = i * scaleBytes(Short.BYTES) / Short.BYTES;
            for (long k = 0; k < count; k++) {
                short bits = Float.floatToFloat16(wide.getAtIndex(JAVA_FLOAT, from + k));
                narrow.segment().setAtIndex(JAVA_SHORT, to + k, bits);
            }
        }
        return narrow;
    }

    /** How integers are stored. */
    public GpuElement element() {
        return element;
    }

    /** Tiles of a row. */
    public int tiles() {
        return tiles;
    }

    /** Columns of a row with padding. */
    public int paddedColumns() {
        return tiles * columns;
    }

    /** Whether scales and minimums are FP16, which they are where that is exact. */
    public boolean fp16Scales() {
        return fp16Scales;
    }

    /** The tiles: what begins a matrix on the device. */
    public MemorySegment quants() {
        return quants.segment();
    }

    /** The scales, and behind them at {@link #minimumOffset} the minimums, where there are any. */
    public MemorySegment scales() {
        long bytes = scaleBytes(fp16Scales ? Short.BYTES : Float.BYTES);
        return scales.segment().asSlice(0, layout.minimum() ? 2 * bytes : bytes);
    }

    /** Where the minimums begin within {@link #scales}. */
    public long minimumOffset() {
        return scaleBytes(fp16Scales ? Short.BYTES : Float.BYTES);
    }

    /** The value of an element, read from the tiles. */
    public float value(int row, int column) {
        int inGroup = column % WeightOrder.GROUP;
        int word = inGroup / 4 % words;
        long at = at(placeOf(row, column / WeightOrder.GROUP), word) + column % 4;
        int bits = quants.segment().get(JAVA_BYTE, at);
        int q = element == GpuElement.INT4 ? bits >> inGroup / 16 * 4 & 15 ^ 8 : bits;
        if (table != null) {
            q = table.level(order.place(quants.segment().get(INT, at - column % 4), inGroup));
        }
        long index = scaleIndex(row, group == 0 ? 0 : column / group);
        float value = number(0, index) * (q - layout.zero());
        return layout.minimum() ? value + number(minimumOffset(), index) : value;
    }

    private float number(long offset, long index) {
        MemorySegment from = scales.segment().asSlice(offset);
        return fp16Scales
                ? Float.float16ToFloat(from.getAtIndex(JAVA_SHORT, index))
                : from.getAtIndex(JAVA_FLOAT, index);
    }

    @Override
    public void close() {
        quants.close();
        scales.close();
    }
}
