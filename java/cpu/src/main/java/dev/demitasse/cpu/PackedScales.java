package dev.demitasse.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Scales, or minimums, of a packed matrix: {@code [panel][group][16 rows]}, and where they are {@link ScaleType#INT8}
 * the FP16 numbers that they are multiples of, {@code [panel][256 columns][16 rows]}.
 */
final class PackedScales {
    /** Columns that share such a number. */
    static final int SUPER = 256;

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

    private final ScaleType type;
    private final int groups;
    private final int supers;
    private final MemorySegment values;
    private final MemorySegment superValues;

    /**
     * In memory.
     *
     * @param groups of a row
     * @param supers of a row: numbers that scales are multiples of
     * @param superValues of {@link #superBytes}
     */
    PackedScales(ScaleType type, int groups, int supers, MemorySegment values, MemorySegment superValues) {
        this.type = type;
        this.groups = groups;
        this.supers = supers;
        this.values = values;
        this.superValues = superValues;
    }

    /** Bytes of the numbers that scales are multiples of, where they are. */
    static long superBytes(ScaleType type, int panels, int supers) {
        return type == ScaleType.INT8 ? (long) panels * supers * PackedMatrix.PANEL * Short.BYTES : 0;
    }

    MemorySegment values() {
        return values;
    }

    MemorySegment superValues() {
        return superValues;
    }

    /**
     * Stores those of a row.
     *
     * @param of one a group
     * @param multiples what they are multiples of, one for each 256 columns, where they are stored so
     * @return whether they are stored exactly
     */
    boolean store(int row, float[] of, float[] multiples) {
        int panel = row / PackedMatrix.PANEL;
        int r = row % PackedMatrix.PANEL;
        boolean exact = true;
        for (int s = 0; s < supers && type == ScaleType.INT8; s++) {
            long at = ((long) panel * supers + s) * PackedMatrix.PANEL + r;
            superValues.setAtIndex(SHORT, at, Float.floatToFloat16(multiples[s]));
        }
        for (int g = 0; g < groups; g++) {
            long at = ((long) panel * groups + g) * PackedMatrix.PANEL + r;
            switch (type) {
                case FP32 -> values.setAtIndex(FLOAT, at, of[g]);
                case FP16 -> values.setAtIndex(SHORT, at, Float.floatToFloat16(of[g]));
                case INT8 -> {
                    float multiple = multiples[superOf(g)];
                    int times = multiple == 0 ? 0 : Math.round(of[g] / multiple);
                    values.setAtIndex(BYTE, at, (byte) times);
                }
            }
            exact &= get(panel, r, g) == of[g];
        }
        return exact;
    }

    /** That of a group. */
    float get(int panel, int r, int g) {
        long at = ((long) panel * groups + g) * PackedMatrix.PANEL + r;
        return switch (type) {
            case FP32 -> values.getAtIndex(FLOAT, at);
            case FP16 -> Float.float16ToFloat(values.getAtIndex(SHORT, at));
            case INT8 -> {
                long superAt = ((long) panel * supers + superOf(g)) * PackedMatrix.PANEL + r;
                yield values.getAtIndex(BYTE, at) * Float.float16ToFloat(superValues.getAtIndex(SHORT, superAt));
            }
        };
    }

    private int superOf(int group) {
        return (int) ((long) group * supers / groups);
    }
}
