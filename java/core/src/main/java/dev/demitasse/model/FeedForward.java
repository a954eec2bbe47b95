package dev.demitasse.model;

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
     * Experts, of which each token has a few, with weights; and one that each token has.
     *
     * @param routing how they are chosen
     * @param router rows experts
     * @param bias added where they are chosen; empty for none
     * @param experts all of them
     * @param shared the one that each token has, with weight 1 or that of its gate
     * @param sharedGate one row: the logit of the shared expert's weight, as its logistic function
     */
    record Experts(
            Routing routing,
            LinearWeight router,
            float[] bias,
            List<Dense> experts,
            @Nullable Dense shared,
            @Nullable LinearWeight sharedGate)
            implements FeedForward {
        @Override
        public int width() {
            return Math.max(experts.getFirst().width(), shared == null ? 0 : shared.width());
        }
    }

    /** The inner width, of the widest of several. */
    int width();
}
