package dev.demitasse.quantize.encode;

/**
 * The sums that searches take over the elements of each group of a tile, element after element. {@link #BEST} has them
 * in vectors where the Vector API is there; the numbers are the same, bit for bit.
 *
 * <p>Rounding is {@code (v + ROUND) - ROUND}: the integer nearest to v, ties to even, for |v| below 2^22. The
 * low byte of {@code v + ROUND}'s bits is that integer's.
 */
sealed interface GroupSums permits ScalarGroupSums, VectorGroupSums {
    /** See above. */
    float ROUND = 0x1.8p23f;

    /** Vectors, or one number at a time where an application runs without {@code jdk.incubator.vector}. */
    GroupSums BEST = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()
            ? new VectorGroupSums()
            : new ScalarGroupSums();

    /** {@code q = round(x inverse)} within low … high: {@code xq = sum(w q x)}, {@code qq = sum(w q q)}. */
    void nearest(GroupTile tile, float low, float high, float[] inverse, float[] xq, float[] qq);

    /** With the same q: {@code errors = sum(w (x - scale q)^2)}. */
    void nearestErrors(GroupTile tile, float low, float high, float[] scale, float[] inverse, float[] errors);

    /**
     * {@code y = x - origin}, {@code q = round((y - offset) inverse)} within 0 … top: {@code wq = sum(w q)},
     * {@code wqq = sum(w q q)}, {@code wyq = sum(w q y)}.
     */
    void range(
            GroupTile tile,
            float top,
            float[] origin,
            float[] offset,
            float[] inverse,
            float[] wq,
            float[] wqq,
            float[] wyq);

    /** {@code y = x - min}, {@code q = round(y inverse)} within 0 … top: {@code errors = sum(w (y - scale q)^2)}. */
    void rangeErrors(GroupTile tile, float top, float[] scale, float[] min, float[] inverse, float[] errors);

    /** The element of the largest magnitude of each group, the first of them. */
    void extremes(GroupTile tile, float[] extreme);

    /** {@code round((x - min) inverse)} within low … high, plus a bias: all groups' codes, one after the other. */
    void codes(GroupTile tile, float low, float high, float[] min, float[] inverse, int bias, byte[] codes);

    /**
     * Where {@code xq^2 / qq} is above a group's gain, it becomes the gain and {@code xq / qq} the scale.
     *
     * @param groups how many
     */
    void keepBetter(int groups, float[] xq, float[] qq, float[] gain, float[] scale);
}
