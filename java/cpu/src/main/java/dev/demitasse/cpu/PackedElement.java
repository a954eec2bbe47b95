package dev.demitasse.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.demitasse.quant.LevelTable;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** How one element of a packed matrix is stored: as its layout has it, or INT8 in fewer bits. */
public enum PackedElement {
    /** 32-bit floating point. */
    F32(32, null),
    /** IEEE 754 binary16. */
    F16(16, null),
    /** bfloat16. */
    BF16(16, null),
    /** Signed 8-bit integers. */
    INT8(8, null),
    /** Unsigned 4-bit integers. */
    INT4(4, null),
    /** INT8 of -32 to 31, plus 32. */
    INT6(6, null),
    /** INT8 that are levels of {@link LevelTable#IQ4}, as their places there. */
    IQ4(4, LevelTable.IQ4),
    /** INT8 that are levels of {@link LevelTable#FP4}. */
    FP4(4, LevelTable.FP4);

    /** The integers of {@link #INT6} are from minus this on to below it. */
    static final int SIX_BITS = 32;

    private static final VarHandle INTS = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int bits;
    private final @Nullable LevelTable table;

    PackedElement(int bits, @Nullable LevelTable table) {
        this.bits = bits;
        this.table = table;
    }

    /** That of a layout. */
    static PackedElement of(WeightLayout.Element element) {
        return valueOf(element.name());
    }

    /** Bits of one. */
    int bits() {
        return bits;
    }

    /** The table whose places integers are; null where they are the integers themselves. */
    public @Nullable LevelTable table() {
        return table;
    }

    /** The place of an integer; below 0 where it is no level. */
    byte place(byte integer) {
        return Objects.requireNonNull(table).place(integer);
    }

    /** Whether an integer of the layout can be stored. */
    boolean holds(byte integer) {
        return switch (this) {
            case INT6 -> integer >= -SIX_BITS && integer < SIX_BITS;
            case IQ4, FP4 -> place(integer) >= 0;
            default -> true;
        };
    }

    /** Columns of a row that {@link #store} takes at once. */
    int columnsAtOnce() {
        return this == INT8 ? 4 : this == INT6 ? 16 : 8;
    }

    /** Stores integers of a row, of a table their places, from column {@code k} on: words, 64 bytes apart. */
    void store(byte[] q, int k, MemorySegment out, long to) {
        switch (this) {
            case INT8 -> out.set(INT, to, (int) INTS.get(q, k));
            case INT6 -> storeSix(q, k, out, to);
            default -> out.set(INT, to, (int) INTS.get(q, k) | (int) INTS.get(q, k + 4) << 4);
        }
    }

    /** Two words of lower bits and one of upper ones. */
    private static void storeSix(byte[] q, int k, MemorySegment out, long to) {
        int upper = 0;
        int[] lower = new int[4];
        for (int i = 0; i < 4; i++) {
            int word = (int) INTS.get(q, k + 4 * i) & 0x3F3F3F3F ^ 0x20202020; // plus 32, in six bits
            lower[i] = word & 0x0F0F0F0F;
            upper |= (word >>> 4 & 0x03030303) << 2 * i;
        }
        out.set(INT, to, lower[0] | lower[1] << 4);
        out.set(INT, to + 64, lower[2] | lower[3] << 4);
        out.set(INT, to + 128, upper);
    }

    /** The integer of column {@code k} of a row that begins at {@code at}. */
    byte load(MemorySegment in, long at, int k) {
        if (this == INT8) {
            return in.get(JAVA_BYTE, at + k / 4 * 64L + k % 4);
        }
        if (this == INT6) {
            long half = at + k / 16 * 192L + k % 4;
            int pair = in.get(JAVA_BYTE, half + k % 16 / 8 * 64L);
            int upper = in.get(JAVA_BYTE, half + 128) >> k % 16 / 4 * 2 & 3;
            return (byte) (((k & 4) == 0 ? pair & 15 : pair >> 4 & 15) + 16 * upper - SIX_BITS);
        }
        int pair = in.get(JAVA_BYTE, at + k / 8 * 64L + k % 4);
        int nibble = (k & 4) == 0 ? pair & 15 : pair >> 4 & 15;
        return table != null ? table.level(nibble) : (byte) nibble;
    }
}
