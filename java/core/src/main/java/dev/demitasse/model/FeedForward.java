package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.LinearWeight;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The feed-forward layer of a transformer block. */
sealed interface FeedForward {
    /**
     * {@code down(activation(gate x) * (up x))}.
     *
     * @param rotatedInput whether its input is rotated before it meets {@code gate} and {@code up}
     * @param rotatedProduct whether the product is rotated before it meets {@code down}
     */
    record Dense(LinearWeight gate, LinearWeight up, LinearWeight down, boolean rotatedInput, boolean rotatedProduct)
            implements FeedForward {
        @Override
        public int width() {
            return up.rows();
        }
    }

    /**
     * One of the matrices that each expert has.
     *
     * @param weights of each expert
     * @param biases of each expert; empty for none
     */
    record ExpertMatrices(List<LinearWeight> weights, List<Buffer> biases) {
        /** Copies the lists once, so that no step has to. */
        public ExpertMatrices {
            weights = List.copyOf(weights);
            biases = List.copyOf(biases);
        }

        GroupedProjection to(Buffer out) {
            return new GroupedProjection(weights, biases, out);
        }
    }

    /**
     * Experts, of which each token has a few, with weights; and one that each token has.
     *
     * @param routing how they are chosen
     * @param router rows experts
     * @param routerBias of it
     * @param bias added where they are chosen; empty for none
     * @param shared the one that each token has, with weight 1 or that of its gate
     * @param sharedGate one row: the logit of the shared expert's weight, as its logistic function
     */
    record Experts(
            Routing routing,
            LinearWeight router,
            @Nullable Buffer routerBias,
            float[] bias,
            ExpertMatrices gates,
            ExpertMatrices ups,
            ExpertMatrices downs,
            @Nullable Dense shared,
            @Nullable LinearWeight sharedGate)
            implements FeedForward {
        @Override
        public int width() {
            return ups.weights().getFirst().rows();
        }
    }

    /** The inner width of a row: of experts, of one of those that are chosen. */
    int width();
}
