package dev.demitasse.cpu;

import dev.demitasse.quant.LevelTable;
import dev.demitasse.quant.WeightLayout;
import java.util.Arrays;
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

    private static final byte NONE = -1;

    private final int bits;
    private final byte[] levels; // of each place; empty where there is no table
    private final byte[] places = new byte[256]; // of each level plus 128

    PackedElement(int bits, @Nullable LevelTable table) {
        this.bits = bits;
        this.levels = table == null ? new byte[0] : table.levels();
        Arrays.fill(places, NONE);
        for (int place = levels.length - 1; place >= 0; place--) { // of equals the first
            places[levels[place] + 128] = (byte) place;
        }
    }

    /** That of a layout. */
    static PackedElement of(WeightLayout.Element element) {
        return valueOf(element.name());
    }

    /** Bits of one. */
    int bits() {
        return bits;
    }

    /** Whether integers are places of a table. */
    boolean isOfTable() {
        return levels.length > 0;
    }

    /** The integer at a place. */
    byte level(int place) {
        return levels[place];
    }

    /** The place of an integer; below 0 where it is no level. */
    byte place(byte integer) {
        return places[integer + 128];
    }

    /** Whether an integer of the layout can be stored. */
    boolean holds(byte integer) {
        return switch (this) {
            case INT6 -> integer >= -SIX_BITS && integer < SIX_BITS;
            case IQ4, FP4 -> place(integer) != NONE;
            default -> true;
        };
    }
}
