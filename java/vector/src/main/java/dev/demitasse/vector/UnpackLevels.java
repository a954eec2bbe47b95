package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.ADDRESS;
import static dev.demitasse.vector.Lanes.BYTES;
import static dev.demitasse.vector.Lanes.MEMORY;
import static dev.demitasse.vector.Lanes.OCTETS;
import static dev.demitasse.vector.Lanes.ORDER;

import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.quant.LevelTable;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Computes: the INT8 that four-bit places in a table of levels stand for, some parts of a panel at a time.
 *
 * <p>Layout: from {@code [k / 8][16 rows][4 bytes]}, low nibbles columns 0 … 3, high ones 4 … 7, to {@code [k / 4][16
 * rows][4 bytes]} ({@link PackedMatrix}), as {@link GemvInt8} and {@link GemmInt8} read it.
 *
 * <p>Requires: as {@link GemvInt8}.
 *
 * <p>Accuracy: exact.
 *
 * <p>Launch: within the task of a panel.
 *
 * <p>Moves: half a byte of memory an element, one of the first-level cache twice; 8 vector operations and 2 lookups for
 * 64 (with 128 bits 32) elements.
 *
 * <p>Why: half of the bytes of INT8 in memory. Scratch of some parts stays in the first-level cache, and the products
 * are those of INT8, which any table fits.
 */
final class UnpackLevels {
    /** Bytes of scratch: {@link IntegerFold#PARTS} parts of 32 columns. */
    static final int SCRATCH_BYTES = IntegerFold.PARTS * 32 * PackedMatrix.PANEL;

    /** Levels, repeated to the length of a vector. */
    private static final Map<LevelTable, ByteVector> TABLES = new EnumMap<>(LevelTable.class);

    static {
        for (LevelTable table : LevelTable.values()) {
            byte[] repeated = new byte[BYTES];
            for (int i = 0; i < BYTES; i++) {
                repeated[i] = table.level(i % 16);
            }
            TABLES.put(table, ByteVector.fromArray(OCTETS, repeated, 0));
        }
    }

    private UnpackLevels() {}

    /**
     * The address of {@code count} parts of an INT8 panel from {@code first} on: in place, or unpacked to {@code
     * scratch}.
     *
     * @param scratch {@link #SCRATCH_BYTES}
     */
    static long parts(PackedMatrix matrix, int panel, int first, int count, long scratch) {
        LevelTable table = matrix.element().table();
        long partBytes = (IntegerFold.per16(matrix) ? 16 : 32) * matrix.panelBytes() / matrix.paddedColumns();
        long from = matrix.quants().address() + panel * matrix.panelBytes() + first * partBytes;
        if (table == null) {
            return from;
        }
        unpack(Objects.requireNonNull(TABLES.get(table)), from, (int) partBytes * count, scratch);
        return scratch;
    }

    private static void unpack(ByteVector levels, long from, int bytes, long to) {
        for (int i = 0; i < bytes; i += BYTES) {
            ByteVector w = ByteVector.fromMemorySegment(OCTETS, MEMORY, from + i & ADDRESS, ORDER);
            long target = to + i / 64 * 128 + i % 64 & ADDRESS;
            w.and((byte) 15).selectFrom(levels).intoMemorySegment(MEMORY, target, ORDER);
            w.reinterpretAsShorts()
                    .lanewise(VectorOperators.LSHR, 4)
                    .reinterpretAsBytes()
                    .and((byte) 15)
                    .selectFrom(levels)
                    .intoMemorySegment(MEMORY, target + 64, ORDER);
        }
    }
}
