package dev.demitasse.quantize.encode;

/** All integers of a range; a code is an integer's distance from the lowest, or itself where it fills a byte. */
final class IntegerLevels implements Levels {
    private static final float STEP = 0.1f;
    private static final int STEPS = 9;
    private static final int MANY = 100;

    private static final float[] NO_MINIMUM = new float[GroupTile.GROUPS];

    private final float low;
    private final float high;
    private final int bias;
    private final float[] inverse = new float[GroupTile.GROUPS];

    IntegerLevels(int low, int high) {
        this.low = low;
        this.high = high;
        this.bias = low < -64 ? 0 : -low;
    }

    @Override
    public float extreme() {
        return low;
    }

    @Override
    public float step() {
        return STEP;
    }

    /** Many levels are fine enough for the steps around them to make no difference. */
    @Override
    public int steps() {
        return low < -MANY ? 1 : STEPS;
    }

    @Override
    public void sums(GroupTile tile, float[] inverse, float[] xq, float[] qq) {
        GroupSums.BEST.nearest(tile, low, high, inverse, xq, qq);
    }

    @Override
    public void errors(GroupTile tile, float[] scale, float[] errors) {
        invert(scale, tile.groups);
        GroupSums.BEST.nearestErrors(tile, low, high, scale, inverse, errors);
    }

    @Override
    public void codes(GroupTile tile, float[] scale, byte[] codes) {
        invert(scale, tile.groups);
        GroupSums.BEST.codes(tile, low, high, NO_MINIMUM, inverse, bias, codes);
    }

    private void invert(float[] scale, int groups) {
        for (int g = 0; g < groups; g++) {
            inverse[g] = Levels.reciprocal(scale[g]);
        }
    }
}
