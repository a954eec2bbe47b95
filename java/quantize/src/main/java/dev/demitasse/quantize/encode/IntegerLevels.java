package dev.demitasse.quantize.encode;

/** All integers of a range; a code is an integer's distance from the lowest, or itself where it fills a byte. */
final class IntegerLevels implements Levels {
    private static final float STEP = 0.1f;
    private static final int STEPS = 9;
    private static final int MANY = 100;

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
        for (int g = 0; g < tile.groups; g++) {
            for (int k = 0; k < tile.length; k++) {
                float v = Math.max(low, Math.min(high, tile.x[k * GroupTile.GROUPS + g] * inverse[g]));
                codes[g * tile.length + k] = (byte) (Float.floatToRawIntBits(v + GroupSums.ROUND) + bias);
            }
        }
    }

    private void invert(float[] scale, int groups) {
        for (int g = 0; g < groups; g++) {
            inverse[g] = Levels.reciprocal(scale[g]);
        }
    }
}
