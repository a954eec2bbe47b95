package dev.demitasse.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.PackedMatrix;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;

/**
 * Integer weights in the order in which a GPU's lanes read them ({@code cuda/include/demitasse/weights.cuh}), made from a
 * {@link PackedMatrix} word by word; {@link #value} is the way back, for tests.
 *
 * <p>A tile is 8 outputs by 64 (INT8) or 128 (INT4) columns in 512 bytes: of each output four chunks of 16 bytes, in swizzled order.
 */
final class WeightTiles implements AutoCloseable {
    /** Outputs of a tile. */
    static final int OUTPUTS = 8;
    /** Bytes of a tile. */
    static final int BYTES = 512;

    private final PackedMatrix matrix;
    private final boolean int4;
    private final int columns; // of a tile
    private final int tiles; // of a row
    private final int outputTiles;
    private final int part; // columns that share a scale on the device: 16 or 32; 0 for a row
    private final boolean halfScales;
    private final HostMemory memory;
    private final long scaleOffset;
    private final long scaleBytes;

    /** Packs a matrix; {@code part}: columns that share a scale on the device, 16 or 32, or 0 for all ({@link #partOf}). */
    WeightTiles(PackedMatrix matrix, int part) {
        this.matrix = matrix;
        this.int4 = matrix.layout().element() == WeightLayout.Element.INT4;
        this.columns = columnsOfTile(int4);
        this.tiles = (matrix.paddedColumns() + columns - 1) / columns;
        this.outputTiles = (matrix.rows() + OUTPUTS - 1) / OUTPUTS;
        this.part = part;
        this.halfScales = exactInHalf();
        long quants = (long) outputTiles * tiles * BYTES;
        long scales = (long) outputTiles * OUTPUTS * (part == 0 ? 1 : (long) tiles * (columns / part));
        this.scaleOffset = quants;
        this.scaleBytes = (scales * (halfScales ? Short.BYTES : Float.BYTES) + 15) / 16 * 16;
        this.memory = HostMemory.allocate(quants + scaleBytes * (matrix.layout().minimum() ? 2 : 1));
        IntStream.range(0, outputTiles).parallel().forEach(this::pack);
    }

    /** Columns of a tile. */
    static int columnsOfTile(boolean int4) {
        return int4 ? 128 : 64;
    }

    /**
     * Columns that share a scale on the device: 16 or 32; longer groups repeat theirs. 0, one scale a row, where the weights have
     * that and {@code wholeRows} says that activations have too.
     */
    static int partOf(WeightLayout layout, boolean wholeRows) {
        return layout.group() == WeightLayout.ROW ? wholeRows ? 0 : 32 : Math.min(layout.group(), 32);
    }

    private boolean exactInHalf() {
        if (matrix.halfScales()) {
            return true;
        }
        return exactInHalf(matrix.scales()) && (!matrix.layout().minimum() || exactInHalf(matrix.mins()));
    }

    private static boolean exactInHalf(MemorySegment numbers) {
        return IntStream.range(0, (int) (numbers.byteSize() / Float.BYTES))
                .parallel()
                .allMatch(i -> {
                    float value = numbers.get(JAVA_FLOAT_UNALIGNED, i * 4L);
                    return Float.float16ToFloat(Float.floatToFloat16(value)) == value;
                });
    }

    private void pack(int outputTile) {
        for (int tile = 0; tile < tiles; tile++) {
            long at = ((long) outputTile * tiles + tile) * BYTES;
            for (int i = 0; i < 32; i++) {
                int row = outputTile * OUTPUTS + i / 4;
                int chunk = i % 4;
                for (int word = 0; row < matrix.rows() && word < 4; word++) {
                    int column = tile * columns + chunk * 4;
                    // nibbles as signed integers: less 8
                    int bits = int4
                            ? (nibbles(row, column + word * 32) | nibbles(row, column + word * 32 + 16) << 4)
                                    ^ 0x88888888
                            : bytes(row, column + word * 16);
                    memory.segment().set(JAVA_INT_UNALIGNED, at + chunkOffset(row, chunk) + word * 4L, bits);
                }
            }
        }
        for (int o = 0; o < OUTPUTS; o++) {
            int row = outputTile * OUTPUTS + o;
            if (row < matrix.rows()) {
                packScales(outputTile, o, row);
            }
        }
    }

    /** Where a chunk of a row lies in a tile. */
    private static long chunkOffset(int row, int chunk) {
        int r = row % OUTPUTS;
        return r * 64L + (chunk ^ r / 2 % 4) * 16L;
    }

    /** Four columns of a row, as bytes of a word. */
    private int bytes(int row, int column) {
        if (column >= matrix.paddedColumns()) {
            return 0;
        }
        long at = row / PackedMatrix.PANEL * matrix.panelBytes() + column / 4 * 64L + row % PackedMatrix.PANEL * 4L;
        return matrix.quants().get(JAVA_INT_UNALIGNED, at);
    }

    /** Four columns of a row, as low nibbles of the bytes of a word. */
    private int nibbles(int row, int column) {
        if (column >= matrix.paddedColumns()) {
            return 0;
        }
        long at = row / PackedMatrix.PANEL * matrix.panelBytes() + column / 8 * 64L + row % PackedMatrix.PANEL * 4L;
        int pair = matrix.quants().get(JAVA_INT_UNALIGNED, at);
        return pair >>> ((column & 4) == 0 ? 0 : 4) & 0x0F0F0F0F;
    }

    private void packScales(int outputTile, int o, int row) {
        int parts = part == 0 ? 1 : columns / part;
        int count = part == 0 ? 1 : tiles * parts;
        for (int p = 0; p < count; p++) {
            int group = part == 0 ? 0 : p * part / matrix.group();
            if (group >= matrix.groups()) {
                break; // columns beyond the matrix are zeros
            }
            long index = part == 0 ? row : (((long) outputTile * tiles + p / parts) * OUTPUTS + o) * parts + p % parts;
            long from = ((long) (row / PackedMatrix.PANEL) * matrix.groups() + group) * PackedMatrix.PANEL
                    + row % PackedMatrix.PANEL;
            copyScale(matrix.scales(), from, scaleOffset, index);
            if (matrix.layout().minimum()) {
                copyScale(matrix.mins(), from, scaleOffset + scaleBytes, index);
            }
        }
    }

    private void copyScale(MemorySegment source, long from, long offset, long to) {
        if (matrix.halfScales()) {
            memory.segment().set(JAVA_SHORT_UNALIGNED, offset + to * 2, source.get(JAVA_SHORT_UNALIGNED, from * 2));
        } else if (halfScales) {
            float value = source.get(JAVA_FLOAT_UNALIGNED, from * 4);
            memory.segment().set(JAVA_SHORT_UNALIGNED, offset + to * 2, Float.floatToFloat16(value));
        } else {
            memory.segment().set(JAVA_FLOAT_UNALIGNED, offset + to * 4, source.get(JAVA_FLOAT_UNALIGNED, from * 4));
        }
    }

    /** Tiles of a row. */
    int tiles() {
        return tiles;
    }

    /** Whether scales and minimums are FP16, which they are where that is exact. */
    boolean halfScales() {
        return halfScales;
    }

    /** Where the scales begin. */
    long scaleOffset() {
        return scaleOffset;
    }

    /** Where the minimums begin, if there are any. */
    long minimumOffset() {
        return scaleOffset + scaleBytes;
    }

    /** Everything: tiles, scales, minimums. */
    MemorySegment segment() {
        return memory.segment();
    }

    /** The value of an element, read from the tiles. */
    float value(int row, int column) {
        long tile = (long) (row / OUTPUTS) * tiles + column / columns;
        int inTile = column % columns;
        int inGroup = inTile % 32;
        long at = tile * BYTES + chunkOffset(row, inGroup % 16 / 4);
        int q = int4
                ? memory.segment().get(java.lang.foreign.ValueLayout.JAVA_BYTE, at + inTile / 32 * 4 + column % 4)
                                        >> inGroup / 16 * 4
                                & 15
                        ^ 8
                : memory.segment()
                        .get(
                                java.lang.foreign.ValueLayout.JAVA_BYTE,
                                at + inTile / 32 * 8 + inGroup / 16 * 4 + column % 4);
        long scale = part == 0 ? row : (tile * OUTPUTS + row % OUTPUTS) * (columns / part) + inTile / part;
        float value = number(scaleOffset, scale) * (q - matrix.layout().zero());
        return matrix.layout().minimum() ? value + number(minimumOffset(), scale) : value;
    }

    private float number(long offset, long index) {
        return halfScales
                ? Float.float16ToFloat(memory.segment().get(JAVA_SHORT_UNALIGNED, offset + index * 2))
                : memory.segment().get(JAVA_FLOAT_UNALIGNED, offset + index * 4);
    }

    @Override
    public void close() {
        memory.close();
    }
}
