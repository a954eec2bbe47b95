package dev.demitasse.quantize.encode;

import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Types whose blocks of 256 are an FP16 scale, an FP16 scale of minimums, and groups with an integer for each. Groups
 * get their best scales and minimums first; the integers are then searched around them by the error that they leave,
 * and the block's two scales are fitted to the integers.
 */
final class SuperblockMinimumEncoder implements RowEncoder {
    private static final int ROUNDS = 1;

    private final TensorType type;
    private final int limit;
    private final BlockPacking.SuperblockWithMinimum packing;
    private final RangeSearch search;
    private final GroupTile tile;
    private final int groupsPerBlock;
    private final float[] wantedScale = new float[GroupTile.GROUPS];
    private final float[] wantedMin = new float[GroupTile.GROUPS];
    private final float[] block = new float[GroupTile.GROUPS];
    private final float[] blockMin = new float[GroupTile.GROUPS];
    private final int[] factor = new int[GroupTile.GROUPS];
    private final int[] minFactor = new int[GroupTile.GROUPS];
    private final int[] best = new int[GroupTile.GROUPS];
    private final int[] bestMin = new int[GroupTile.GROUPS];
    private final float[] scale = new float[GroupTile.GROUPS];
    private final float[] min = new float[GroupTile.GROUPS];
    private final float[] errors = new float[GroupTile.GROUPS];
    private final float[] least = new float[GroupTile.GROUPS];
    private final float[] oldBlock = new float[GroupTile.GROUPS];
    private final float[] oldBlockMin = new float[GroupTile.GROUPS];
    private final byte[] codes;

    /** Codes go from 0 to {@code top}, the integers of scales and minimums from 0 to {@code limit}. */
    SuperblockMinimumEncoder(
            TensorType type, int top, int group, int limit, BlockPacking.SuperblockWithMinimum packing) {
        this.type = type;
        this.limit = limit;
        this.packing = packing;
        this.search = new RangeSearch(top, true);
        this.tile = new GroupTile(group);
        this.groupsPerBlock = type.blockElements() / group;
        this.codes = new byte[group * GroupTile.GROUPS];
    }

    @Override
    public void encode(float[] x, float[] w, int count, MemorySegment out, long at) {
        for (int from = 0; from < count; from += tile.groups * tile.length) {
            tile.load(x, w, from, Math.min(GroupTile.GROUPS, (count - from) / tile.length));
            search.search(tile, wantedScale, wantedMin);
            firstScales();
            for (int round = 0; round < ROUNDS; round++) {
                searchFactors();
                fitBlocks();
            }
            searchFactors();
            effective();
            search.codes(tile, scale, min, codes);
            for (int g = 0; g < tile.groups; g += groupsPerBlock) {
                long to = at + (from / tile.length + g) / groupsPerBlock * (long) type.blockBytes();
                packing.pack(codes, g * tile.length, block[g], blockMin[g], factor, minFactor, g, out, to);
            }
        }
    }

    private void firstScales() {
        for (int first = 0; first < tile.groups; first += groupsPerBlock) {
            float largest = 0;
            float lowest = 0;
            for (int g = first; g < first + groupsPerBlock; g++) {
                largest = Math.max(largest, wantedScale[g]);
                lowest = Math.min(lowest, wantedMin[g]);
            }
            float d = RowEncoder.scale(largest / limit, type);
            float m = RowEncoder.scale(-lowest / limit, type);
            for (int g = first; g < first + groupsPerBlock; g++) {
                block[g] = d;
                blockMin[g] = m;
                factor[g] = limited(Math.round(wantedScale[g] * Levels.reciprocal(d)));
                minFactor[g] = limited(Math.round(-wantedMin[g] * Levels.reciprocal(m)));
            }
        }
    }

    private void searchFactors() {
        Arrays.fill(least, Float.POSITIVE_INFINITY);
        System.arraycopy(factor, 0, best, 0, tile.groups);
        System.arraycopy(minFactor, 0, bestMin, 0, tile.groups);
        for (int step = 0; step < 9; step++) {
            int up = step / 3 - 1;
            int minUp = step % 3 - 1;
            for (int g = 0; g < tile.groups; g++) {
                scale[g] = block[g] * limited(factor[g] + up);
                min[g] = -blockMin[g] * limited(minFactor[g] + minUp);
            }
            search.errors(tile, scale, min, errors);
            for (int g = 0; g < tile.groups; g++) {
                if (errors[g] < least[g]) {
                    least[g] = errors[g];
                    best[g] = limited(factor[g] + up);
                    bestMin[g] = limited(minFactor[g] + minUp);
                }
            }
        }
        System.arraycopy(best, 0, factor, 0, tile.groups);
        System.arraycopy(bestMin, 0, minFactor, 0, tile.groups);
    }

    /** With codes and integers as they are, each block's two scales of least error, where they are better rounded. */
    private void fitBlocks() {
        effective();
        for (int first = 0; first < tile.groups; first += groupsPerBlock) {
            fit(first);
        }
        effective();
        search.errors(tile, scale, min, errors);
        for (int first = 0; first < tile.groups; first += groupsPerBlock) {
            double change = 0;
            for (int g = first; g < first + groupsPerBlock; g++) {
                change += (double) errors[g] - least[g];
            }
            if (!(change < 0)) {
                System.arraycopy(oldBlock, first, block, first, groupsPerBlock);
                System.arraycopy(oldBlockMin, first, blockMin, first, groupsPerBlock);
            }
        }
    }

    /** Least squares of d and m in {@code x = d factor q - m minFactor}. */
    private void fit(int first) {
        double dd = 0;
        double dm = 0;
        double mm = 0;
        double dx = 0;
        double mx = 0;
        for (int g = first; g < first + groupsPerBlock; g++) {
            double[] sums = search.fitSums(tile, g, scale[g], min[g]);
            double f = factor[g];
            double m = minFactor[g];
            dd += f * f * sums[2];
            dm -= f * m * sums[1];
            mm += m * m * sums[0];
            dx += f * sums[4];
            mx -= m * sums[3];
            oldBlock[g] = block[g];
            oldBlockMin[g] = blockMin[g];
        }
        double determinant = dd * mm - dm * dm;
        boolean both = determinant > 1e-9 * dd * mm;
        double d = both ? (mm * dx - dm * mx) / determinant : dd > 0 ? (dx - dm * blockMin[first]) / dd : 0;
        double m = both ? (dd * mx - dm * dx) / determinant : blockMin[first];
        if (d > 0 && m >= 0) {
            Arrays.fill(block, first, first + groupsPerBlock, RowEncoder.fp16((float) d, type));
            Arrays.fill(blockMin, first, first + groupsPerBlock, RowEncoder.fp16((float) m, type));
        }
    }

    private void effective() {
        for (int g = 0; g < tile.groups; g++) {
            scale[g] = block[g] * factor[g];
            min[g] = -blockMin[g] * minFactor[g];
        }
    }

    private int limited(int value) {
        return Math.max(0, Math.min(limit, value));
    }
}
