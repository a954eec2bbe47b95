package dev.demitasse.quantize.encode;

import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Types whose blocks of 256 are an FP16 scale, and groups with an integer that it is multiplied by. Groups get their
 * best scales first; their integers are then searched around them by the error that they leave, and the block's scale
 * is fitted to the integers.
 */
final class SuperblockEncoder implements RowEncoder {
    private static final int ROUNDS = 2;

    private final TensorType type;
    private final Levels levels;
    private final int low;
    private final int high;
    private final BlockPacking.Superblock packing;
    private final ScaleSearch search;
    private final GroupTile tile;
    private final int groupsPerBlock;
    private final float[] wanted = new float[GroupTile.GROUPS];
    private final float[] block = new float[GroupTile.GROUPS];
    private final float[] oldBlock = new float[GroupTile.GROUPS];
    private final int[] factor = new int[GroupTile.GROUPS];
    private final int[] best = new int[GroupTile.GROUPS];
    private final float[] scale = new float[GroupTile.GROUPS];
    private final float[] inverse = new float[GroupTile.GROUPS];
    private final float[] errors = new float[GroupTile.GROUPS];
    private final float[] least = new float[GroupTile.GROUPS];
    private final float[] xq = new float[GroupTile.GROUPS];
    private final float[] qq = new float[GroupTile.GROUPS];
    private final byte[] codes;

    /** {@code low} to {@code high}: the integers of a group's scale. */
    SuperblockEncoder(TensorType type, Levels levels, int group, int low, int high, BlockPacking.Superblock packing) {
        this.type = type;
        this.levels = levels;
        this.low = low;
        this.high = high;
        this.packing = packing;
        this.search = new ScaleSearch(levels);
        this.tile = new GroupTile(group);
        this.groupsPerBlock = type.blockElements() / group;
        this.codes = new byte[group * GroupTile.GROUPS];
    }

    @Override
    public void encode(float[] x, float[] w, int count, MemorySegment out, long at) {
        for (int from = 0; from < count; from += tile.groups * tile.length) {
            tile.load(x, w, from, Math.min(GroupTile.GROUPS, (count - from) / tile.length));
            search.search(tile, wanted);
            firstScales();
            for (int round = 0; round < ROUNDS; round++) {
                searchFactors();
                fitBlocks();
            }
            searchFactors();
            levels.codes(tile, scaleOf(best), codes);
            for (int g = 0; g < tile.groups; g += groupsPerBlock) {
                long to = at + (from / tile.length + g) / groupsPerBlock * (long) type.blockBytes();
                packing.pack(codes, g * tile.length, block[g], best, g, out, to);
            }
        }
    }

    /** The group of the largest scale takes the integer that reaches farthest. */
    private void firstScales() {
        for (int first = 0; first < tile.groups; first += groupsPerBlock) {
            float extreme = 0;
            for (int g = first; g < first + groupsPerBlock; g++) {
                extreme = Math.abs(wanted[g]) > Math.abs(extreme) ? wanted[g] : extreme;
            }
            float d = RowEncoder.scale(extreme / low, type);
            float reciprocal = Levels.reciprocal(d);
            for (int g = first; g < first + groupsPerBlock; g++) {
                block[g] = d;
                factor[g] = limited(Math.round(wanted[g] * reciprocal));
            }
        }
    }

    private void searchFactors() {
        Arrays.fill(least, Float.POSITIVE_INFINITY);
        System.arraycopy(factor, 0, best, 0, tile.groups);
        for (int step = -1; step <= 1; step++) {
            for (int g = 0; g < tile.groups; g++) {
                scale[g] = block[g] * limited(factor[g] + step);
            }
            levels.errors(tile, scale, errors);
            for (int g = 0; g < tile.groups; g++) {
                if (errors[g] < least[g]) {
                    least[g] = errors[g];
                    best[g] = limited(factor[g] + step);
                }
            }
        }
        System.arraycopy(best, 0, factor, 0, tile.groups);
    }

    /** With levels and integers as they are, each block's scale of least error, where it is better once rounded. */
    private void fitBlocks() {
        scaleOf(factor);
        for (int g = 0; g < tile.groups; g++) {
            inverse[g] = Levels.reciprocal(scale[g]);
        }
        levels.sums(tile, inverse, xq, qq);
        for (int first = 0; first < tile.groups; first += groupsPerBlock) {
            double above = 0;
            double below = 0;
            for (int g = first; g < first + groupsPerBlock; g++) {
                above += (double) factor[g] * xq[g];
                below += (double) factor[g] * factor[g] * qq[g];
            }
            float d = below > 0 ? RowEncoder.fp16((float) (above / below), type) : block[first];
            for (int g = first; g < first + groupsPerBlock; g++) {
                oldBlock[g] = block[g];
                block[g] = d;
            }
        }
        levels.errors(tile, scaleOf(factor), errors);
        for (int first = 0; first < tile.groups; first += groupsPerBlock) {
            double change = 0;
            for (int g = first; g < first + groupsPerBlock; g++) {
                change += (double) errors[g] - least[g];
            }
            if (!(change < 0)) {
                System.arraycopy(oldBlock, first, block, first, groupsPerBlock);
            }
        }
    }

    private float[] scaleOf(int[] factors) {
        for (int g = 0; g < tile.groups; g++) {
            scale[g] = block[g] * factors[g];
        }
        return scale;
    }

    private int limited(int factor) {
        return Math.max(low, Math.min(high, factor));
    }
}
