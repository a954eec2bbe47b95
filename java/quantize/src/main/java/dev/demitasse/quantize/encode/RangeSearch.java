package dev.demitasse.quantize.encode;

import java.util.Arrays;

/**
 * A scale and a minimum for each group of a tile: candidates spread the range over the integers 0 … top, and each is
 * judged with the scale and minimum that fit its integers best (weighted least squares). Elements and minimums are
 * taken from the group's least element on meanwhile, so that sums of a narrow range far from zero do not cancel.
 */
final class RangeSearch {
    private static final int STEPS = 10;
    private static final float STEP = 0.1f;
    private static final int ROUNDS = 2;
    /** Below this share of its parts a determinant is what rounding left. */
    private static final float SAME = 1e-5f;

    private final float top;
    private final boolean notPositive;
    private final float[] least = new float[GroupTile.GROUPS];
    private final float[] largest = new float[GroupTile.GROUPS];
    private final float[] inverse = new float[GroupTile.GROUPS];
    private final float[] offset = new float[GroupTile.GROUPS];
    private final float[] error = new float[GroupTile.GROUPS];
    private final float[] w1 = new float[GroupTile.GROUPS];
    private final float[] wx = new float[GroupTile.GROUPS];
    private final float[] wxx = new float[GroupTile.GROUPS];
    private final float[] wq = new float[GroupTile.GROUPS];
    private final float[] wqq = new float[GroupTile.GROUPS];
    private final float[] wxq = new float[GroupTile.GROUPS];

    /** {@code notPositive}: minimums are zero or less, as formats with unsigned minimums need. */
    RangeSearch(int top, boolean notPositive) {
        this.top = top;
        this.notPositive = notPositive;
    }

    /** Searches; a group of equal elements gets scale 0 and its element as minimum, as far as that may be. */
    void search(GroupTile tile, float[] scale, float[] min) {
        int groups = tile.groups;
        range(tile);
        moments(tile);
        for (int g = 0; g < groups; g++) {
            offset[g] = 0;
            scale[g] = 0;
            min[g] = limited(g, w1[g] > 0 ? wx[g] / w1[g] : 0);
            error[g] = errorOf(g, 0, min[g], 0, 0, 0);
        }
        for (int i = -STEPS; i <= STEPS; i++) {
            for (int g = 0; g < groups; g++) {
                float candidate = (top + i * STEP) / (largest[g] - least[g]);
                inverse[g] = Float.isFinite(candidate) ? candidate : 0;
            }
            judge(tile, scale, min);
        }
        for (int round = 0; round < ROUNDS; round++) {
            for (int g = 0; g < groups; g++) {
                inverse[g] = Levels.reciprocal(scale[g]);
                offset[g] = min[g];
            }
            judge(tile, scale, min);
        }
        for (int g = 0; g < groups; g++) {
            min[g] += least[g];
        }
    }

    private void range(GroupTile tile) {
        int groups = tile.groups;
        Arrays.fill(least, 0, groups, Float.POSITIVE_INFINITY);
        Arrays.fill(largest, 0, groups, Float.NEGATIVE_INFINITY);
        for (int k = 0; k < tile.length; k++) {
            int at = k * GroupTile.GROUPS;
            for (int g = 0; g < groups; g++) {
                least[g] = Math.min(least[g], tile.x[at + g]);
                largest[g] = Math.max(largest[g], tile.x[at + g]);
            }
        }
        for (int g = 0; g < groups; g++) {
            least[g] = notPositive ? Math.min(0, least[g]) : least[g];
        }
    }

    private void moments(GroupTile tile) {
        int groups = tile.groups;
        Arrays.fill(w1, 0, groups, 0);
        Arrays.fill(wx, 0, groups, 0);
        Arrays.fill(wxx, 0, groups, 0);
        for (int k = 0; k < tile.length; k++) {
            int at = k * GroupTile.GROUPS;
            for (int g = 0; g < groups; g++) {
                float v = tile.x[at + g] - least[g];
                float weighted = tile.w[at + g] * v;
                w1[g] += tile.w[at + g];
                wx[g] += weighted;
                wxx[g] += weighted * v;
            }
        }
    }

    private void judge(GroupTile tile, float[] scale, float[] min) {
        GroupSums.BEST.range(tile, top, least, offset, inverse, wq, wqq, wxq);
        for (int g = 0; g < tile.groups; g++) {
            float determinant = w1[g] * wqq[g] - wq[g] * wq[g];
            float s = (w1[g] * wxq[g] - wx[g] * wq[g]) / determinant;
            float m = (wqq[g] * wx[g] - wq[g] * wxq[g]) / determinant;
            if (!(determinant > SAME * w1[g] * wqq[g])) { // all elements have one integer: no minimum follows
                m = 0;
                s = wxq[g] / wqq[g];
            }
            if (limited(g, m) < m) {
                m = limited(g, m);
                s = (wxq[g] - m * wq[g]) / wqq[g];
            }
            float e = errorOf(g, s, m, wq[g], wqq[g], wxq[g]);
            if (s > 0 && Float.isFinite(s) && Float.isFinite(m) && e < error[g]) {
                error[g] = e;
                scale[g] = s;
                min[g] = m;
            }
        }
    }

    private float errorOf(int g, float s, float m, float q, float qq, float xq) {
        return wxx[g] + s * s * qq + m * m * w1[g] - 2 * s * xq - 2 * m * wx[g] + 2 * s * m * q;
    }

    /** A minimum above the group's least element, so that the sum of both is what may be. */
    private float limited(int g, float m) {
        return notPositive ? Math.min(-least[g], m) : m;
    }

    /** With {@code q} nearest to {@code (x - min) / scale}: {@code errors = sum(w (x - scale q - min)^2)}. */
    void errors(GroupTile tile, float[] scale, float[] min, float[] errors) {
        for (int g = 0; g < tile.groups; g++) {
            inverse[g] = Levels.reciprocal(scale[g]);
        }
        GroupSums.BEST.rangeErrors(tile, top, scale, min, inverse, errors);
    }

    /** Sums of a group for given integers, {@code {w, w q, w q^2, w x, w x q}}, in FP64. */
    double[] fitSums(GroupTile tile, int g, float scale, float min) {
        double[] sums = new double[5];
        float reciprocal = Levels.reciprocal(scale);
        for (int k = 0; k < tile.length; k++) {
            float v = tile.x[k * GroupTile.GROUPS + g];
            double weight = tile.w[k * GroupTile.GROUPS + g];
            double q = code(v, reciprocal, min);
            sums[0] += weight;
            sums[1] += weight * q;
            sums[2] += weight * q * q;
            sums[3] += weight * v;
            sums[4] += weight * v * q;
        }
        return sums;
    }

    /** The integers, group after group. */
    void codes(GroupTile tile, float[] scale, float[] min, byte[] codes) {
        for (int g = 0; g < tile.groups; g++) {
            inverse[g] = Levels.reciprocal(scale[g]);
        }
        GroupSums.BEST.codes(tile, 0, top, min, inverse, 0, codes);
    }

    private int code(float x, float inverse, float min) {
        return Float.floatToRawIntBits(Math.max(0, Math.min(top, (x - min) * inverse)) + GroupSums.ROUND) & 0xFF;
    }
}
