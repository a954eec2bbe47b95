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
     * @param gates of each expert
     * @param ups of each expert
     * @param downs of each expert
     * @param shared the one that each token has, with weight 1 or that of its gate
     * @param sharedGate one row: the logit of the shared expert's weight, as its logistic function
     */
    record Experts(
            Routing routing,
            LinearWeight router,
            float[] bias,
            List<LinearWeight> gates,
            List<LinearWeight> ups,
            List<LinearWeight> downs,
            @Nullable Dense shared,
            @Nullable LinearWeight sharedGate)
            implements FeedForward {
        /** Copies the lists once, so that no step has to. */
        public Experts {
            gates = List.copyOf(gates);
            ups = List.copyOf(ups);
            downs = List.copyOf(downs);
        }

        @Override
        public int width() {
            return ups.getFirst().rows();
        }
    }

    /** The inner width of a row: of experts, of one of those that are chosen. */
    int width();
}
