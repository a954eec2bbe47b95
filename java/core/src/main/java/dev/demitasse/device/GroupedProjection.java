package dev.demitasse.device;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One output of {@link Device#groupedLinear}, FP32.
 *
 * @param weights the matrices of the groups, all of the same rows and columns
 * @param biases one for each of them, added to each of its group's rows; empty for none
 * @param out rows × their rows
 */
public record GroupedProjection(List<LinearWeight> weights, List<Buffer> biases, Buffer out) {
    /** Copies the lists. */
    public GroupedProjection {
        weights = List.copyOf(weights);
        biases = List.copyOf(biases);
    }

    /** Without biases. */
    public GroupedProjection(List<LinearWeight> weights, Buffer out) {
        this(weights, List.of(), out);
    }

    /** The bias of a group, or null. */
    public @Nullable Buffer bias(int group) {
        return biases.isEmpty() ? null : biases.get(group);
    }

    /** The projections of one group. */
    public static Projection[] ofGroup(int group, GroupedProjection... projections) {
        Projection[] own = new Projection[projections.length];
        for (int i = 0; i < own.length; i++) {
            own[i] = new Projection(projections[i].weights.get(group), projections[i].bias(group), projections[i].out);
        }
        return own;
    }
}
