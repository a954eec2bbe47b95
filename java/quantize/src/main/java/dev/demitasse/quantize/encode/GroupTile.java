package dev.demitasse.quantize.encode;

import java.util.Arrays;

/**
 * Groups of elements side by side: element k of group g lies at {@code k * GROUPS + g}. A vector then holds the same
 * element of several groups, and no sum crosses its lanes. Groups that are not filled are zeros, which weigh nothing.
 */
final class GroupTile {
    /** Groups that are searched at once: what they and their sums take stays in the first cache. */
    static final int GROUPS = 64;

    final int length;
    final int end;
    final float[] x;
    final float[] w;
    /** Where the groups' elements lie as they came, group after group from {@link #from} on. */
    float[] values = new float[0];

    int from;
    int groups;

    GroupTile(int length) {
        this.length = length;
        this.end = length * GROUPS;
        this.x = new float[end];
        this.w = new float[end];
    }

    /** Takes {@code count} groups whose elements lie one after the other from {@code from} on. */
    void load(float[] values, float[] weights, int from, int count) {
        this.values = values;
        this.from = from;
        if (count < GROUPS) {
            Arrays.fill(x, 0);
            Arrays.fill(w, 0);
        }
        groups = count;
        for (int g = 0; g < count; g++) {
            int at = from + g * length;
            for (int k = 0; k < length; k++) {
                x[k * GROUPS + g] = values[at + k];
                w[k * GROUPS + g] = weights[at + k];
            }
        }
    }
}
