package dev.demitasse.quantize.encode;

import dev.demitasse.quant.LevelTable;
import java.util.Arrays;

/** Sixteen uneven levels, all integers; a code is a level's place in the table. */
final class TableLevels implements Levels {
    /** Of the extreme level: as for integers from -8 to 7. */
    private static final float STEP = 0.1f / 8;

    private static final int STEPS = 9;

    private final float low;
    private final float high;
    private final float extreme;
    /** The code nearest to v at {@code floor(2 (v - low))}: the middles of two levels lie on borders. */
    private final byte[] nearest;

    private final float[] levels = new float[16];

    TableLevels(byte[] table) {
        int least = 0;
        int largest = 0;
        for (int i = 0; i < table.length; i++) {
            levels[i] = table[i];
            least = Math.min(least, table[i]);
            largest = Math.max(largest, table[i]);
        }
        low = least;
        high = largest;
        extreme = -least > largest ? least : largest;
        nearest = new byte[2 * (largest - least) + 1];
        for (int i = 0; i < nearest.length; i++) {
            nearest[i] = (byte) closest(least + i / 2f + 0.25f);
        }
    }

    /** The levels of IQ4_NL and IQ4_XS. */
    static TableLevels iq4() {
        return new TableLevels(LevelTable.IQ4.levels());
    }

    private int closest(float v) {
        int best = 0;
        for (int i = 1; i < levels.length; i++) {
            if (Math.abs(levels[i] - v) < Math.abs(levels[best] - v)) {
                best = i;
            }
        }
        return best;
    }

    private int code(float v) {
        return nearest[(int) (2 * (Math.max(low, Math.min(high, v)) - low))];
    }

    @Override
    public float extreme() {
        return extreme;
    }

    @Override
    public float step() {
        return Math.abs(extreme) * STEP;
    }

    @Override
    public int steps() {
        return STEPS;
    }

    @Override
    public void sums(GroupTile tile, float[] inverse, float[] xq, float[] qq) {
        Arrays.fill(xq, 0, tile.groups, 0);
        Arrays.fill(qq, 0, tile.groups, 0);
        for (int k = 0; k < tile.length; k++) {
            int at = k * GroupTile.GROUPS;
            for (int g = 0; g < tile.groups; g++) {
                float v = tile.x[at + g];
                float q = levels[code(v * inverse[g])];
                float wq = tile.w[at + g] * q;
                xq[g] += wq * v;
                qq[g] += wq * q;
            }
        }
    }

    @Override
    public void errors(GroupTile tile, float[] scale, float[] errors) {
        for (int g = 0; g < tile.groups; g++) {
            float inverse = Levels.reciprocal(scale[g]);
            float sum = 0;
            for (int k = 0; k < tile.length; k++) {
                float v = tile.x[k * GroupTile.GROUPS + g];
                float e = v - scale[g] * levels[code(v * inverse)];
                sum += tile.w[k * GroupTile.GROUPS + g] * e * e;
            }
            errors[g] = sum;
        }
    }

    @Override
    public void codes(GroupTile tile, float[] scale, byte[] codes) {
        for (int g = 0; g < tile.groups; g++) {
            float inverse = Levels.reciprocal(scale[g]);
            for (int k = 0; k < tile.length; k++) {
                codes[g * tile.length + k] = (byte) code(tile.x[k * GroupTile.GROUPS + g] * inverse);
            }
        }
    }
}
