package dev.demitasse.device;

import java.util.List;

/**
 * One output of {@link Device#groupedLinear}, FP32.
 *
 * @param weights the matrices of the groups, all of the same rows and columns
 * @param out rows × their rows
 */
public record GroupedProjection(List<LinearWeight> weights, Buffer out) {
    /** Copies the list. */
    public GroupedProjection {
        weights = List.copyOf(weights);
    }

    /** The projections of one group. */
    public static Projection[] ofGroup(int group, GroupedProjection... projections) {
        Projection[] own = new Projection[projections.length];
        for (int i = 0; i < own.length; i++) {
            own[i] = new Projection(projections[i].weights.get(group), null, projections[i].out);
        }
        return own;
    }
}
