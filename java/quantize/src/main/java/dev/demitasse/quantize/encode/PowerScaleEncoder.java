package dev.demitasse.quantize.encode;

import dev.demitasse.quant.LevelTable;
import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** MXFP4, whose scales are powers of two: of three exponents around the largest element's the one of least error. */
final class PowerScaleEncoder implements RowEncoder {
    /** A block's scale is 2^(exponent - BIAS) for doubled levels, of which the largest is 12. */
    private static final int BIAS = 128;

    private final TensorType type;
    private final Levels levels = new TableLevels(LevelTable.FP4.levels());
    private final GroupTile tile;
    private final int[] first = new int[GroupTile.GROUPS];
    private final int[] exponent = new int[GroupTile.GROUPS];
    private final float[] scale = new float[GroupTile.GROUPS];
    private final float[] errors = new float[GroupTile.GROUPS];
    private final float[] least = new float[GroupTile.GROUPS];
    private final byte[] codes;

    PowerScaleEncoder(TensorType type) {
        this.type = type;
        this.tile = new GroupTile(type.blockElements());
        this.codes = new byte[type.blockElements() * GroupTile.GROUPS];
    }

    @Override
    public void encode(float[] x, float[] w, int count, MemorySegment out, long at) {
        int length = tile.length;
        for (int from = 0; from < count; from += tile.groups * length) {
            tile.load(x, w, from, Math.min(GroupTile.GROUPS, (count - from) / length));
            search();
            for (int g = 0; g < tile.groups; g++) {
                scale[g] = Math.scalb(1f, exponent[g] - BIAS);
            }
            levels.codes(tile, scale, codes);
            for (int g = 0; g < tile.groups; g++) {
                long block = at + (from / length + g) * (long) type.blockBytes();
                BlockPacking.mxfp4(codes, g * length, exponent[g], out, block);
            }
        }
    }

    private void search() {
        Arrays.fill(least, Float.POSITIVE_INFINITY);
        for (int g = 0; g < tile.groups; g++) {
            float largest = 0;
            for (int k = 0; k < tile.length; k++) {
                largest = Math.max(largest, Math.abs(tile.x[k * GroupTile.GROUPS + g]));
            }
            // The largest level is 6 = 1.5 * 2^2 before doubling.
            exponent[g] = 0;
            first[g] = largest == 0 ? 0 : Math.getExponent(largest) - 2 + BIAS - 1;
        }
        for (int step = -1; step <= 1; step++) {
            for (int g = 0; g < tile.groups; g++) {
                scale[g] = Math.scalb(1f, limited(first[g] + step) - BIAS);
            }
            levels.errors(tile, scale, errors);
            for (int g = 0; g < tile.groups; g++) {
                if (errors[g] < least[g]) {
                    least[g] = errors[g];
                    exponent[g] = limited(first[g] + step);
                }
            }
        }
    }

    private static int limited(int exponent) {
        return Math.max(0, Math.min(254, exponent));
    }
}
