package dev.demitasse.quantize.encode;

/**
 * A scale for each group of a tile: candidates put the element of the largest magnitude near the extreme level, and
 * each is judged with the best scale for the levels that it gives, {@code sum(w x q) / sum(w q^2)}, whose error is
 * {@code sum(w x^2) - sum(w x q)^2 / sum(w q^2)}. The best is improved by rounding again.
 */
final class ScaleSearch {
    private static final int ROUNDS = 2;

    private final Levels levels;
    private final float[] extreme = new float[GroupTile.GROUPS];
    private final float[] inverse = new float[GroupTile.GROUPS];
    private final float[] xq = new float[GroupTile.GROUPS];
    private final float[] qq = new float[GroupTile.GROUPS];
    private final float[] gain = new float[GroupTile.GROUPS];

    ScaleSearch(Levels levels) {
        this.levels = levels;
    }

    /** Searches; a group of zeros, or of numbers whose scale has no reciprocal, gets scale 0. */
    void search(GroupTile tile, float[] scale) {
        int groups = tile.groups;
        for (int g = 0; g < groups; g++) {
            scale[g] = 0;
            gain[g] = 0;
        }
        GroupSums.BEST.extremes(tile, extreme);
        float sign = Math.signum(levels.extreme());
        float step = levels.step();
        for (int i = -levels.steps(); i <= levels.steps(); i++) {
            for (int g = 0; g < groups; g++) {
                inverse[g] = finite((levels.extreme() + sign * i * step) / extreme[g]);
            }
            judge(tile, scale);
        }
        for (int round = 0; round < ROUNDS; round++) {
            for (int g = 0; g < groups; g++) {
                inverse[g] = Levels.reciprocal(scale[g]);
            }
            judge(tile, scale);
        }
    }

    private static float finite(float inverse) {
        return Float.isFinite(inverse) ? inverse : 0;
    }

    private void judge(GroupTile tile, float[] scale) {
        levels.sums(tile, inverse, xq, qq);
        GroupSums.BEST.keepBetter(tile.groups, xq, qq, gain, scale);
    }
}
