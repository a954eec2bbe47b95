package dev.demitasse.quantize.encode;

/** The numbers that a code stands for, before its scale. */
interface Levels {
    /** The level of the largest magnitude. */
    float extreme();

    /** How far apart a search's candidates for the largest magnitude's level lie. */
    float step();

    /** How many candidates there are on each side of the extreme level. */
    int steps();

    /**
     * With {@code q} the levels nearest to {@code x inverse}: {@code xq = sum(w x q)} and {@code qq = sum(w q^2)} of
     * each group.
     */
    void sums(GroupTile tile, float[] inverse, float[] xq, float[] qq);

    /** With {@code q} the levels nearest to {@code x / scale}: {@code errors = sum(w (x - scale q)^2)} a group. */
    void errors(GroupTile tile, float[] scale, float[] errors);

    /** The codes of those levels, group after group. */
    void codes(GroupTile tile, float[] scale, byte[] codes);

    /** The reciprocal of a scale; 0 where it is beyond FP32, so that all elements become zero. */
    static float reciprocal(float scale) {
        float inverse = 1 / scale;
        return Float.isFinite(inverse) ? inverse : 0;
    }
}
