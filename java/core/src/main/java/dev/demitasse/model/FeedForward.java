package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Routing;
import dev.demitasse.device.WeightGroup;
import org.jspecify.annotations.Nullable;

/** The feed-forward layer of a transformer block. */
sealed interface FeedForward {
    /**
     * {@code down(activation(gate x) * (up x))}; biases are null for none.
     *
     * @param gate null where {@code up} is its own gate
     * @param rotatedInput whether its input is rotated before it meets {@code gate} and {@code up}
     * @param rotatedProduct whether the product is rotated before it meets {@code down}
     */
    record Dense(
            @Nullable LinearWeight gate,
            @Nullable Buffer gateBias,
            LinearWeight up,
            @Nullable Buffer upBias,
            LinearWeight down,
            @Nullable Buffer downBias,
            boolean rotatedInput,
            boolean rotatedProduct)
            implements FeedForward {
        @Override
        public int width() {
            return up.rows();
        }

        @Override
        public Dense ofAllTokens() {
            return this;
        }

        @Override
        public @Nullable Experts chosen() {
            return null;
        }
    }

    /**
     * Experts, of which each token has a few, with weights; and one that each token has.
     *
     * @param routing how they are chosen
     * @param router rows experts
     * @param routerBias of it
     * @param bias added where they are chosen, one an expert; or null
     * @param scales multiply the weights of the experts that are chosen, one an expert; or null
     * @param gates null where {@code ups} are their own gates
     * @param shared the one that each token has, with weight 1 or that of its gate
     * @param sharedGate one row: the logit of the shared expert's weight, as its logistic function
     */
    record Experts(
            Routing routing,
            LinearWeight router,
            @Nullable Buffer routerBias,
            @Nullable Buffer bias,
            @Nullable Buffer scales,
            @Nullable WeightGroup gates,
            WeightGroup ups,
            WeightGroup downs,
            @Nullable Dense shared,
            @Nullable LinearWeight sharedGate)
            implements FeedForward {
        @Override
        public int width() {
            return ups.rows();
        }

        @Override
        public @Nullable Dense ofAllTokens() {
            return shared;
        }

        @Override
        public Experts chosen() {
            return this;
        }
    }

    /**
     * A dense layer and experts beside each other, with norms of their own; their results are added.
     *
     * @param denseNorm of what the dense layer returns
     * @param routerNorm of the residual stream, for the router
     * @param expertsNorm of the residual stream, for the experts
     * @param postExpertsNorm of what the experts return
     */
    record DenseAndExperts(
            Dense dense, Experts experts, Norm denseNorm, Norm routerNorm, Norm expertsNorm, Norm postExpertsNorm)
            implements FeedForward {
        @Override
        public int width() {
            return experts.width();
        }

        @Override
        public Dense ofAllTokens() {
            return dense;
        }

        @Override
        public Experts chosen() {
            return experts;
        }
    }

    /** The dense layer that each token has, alone or beside experts. */
    @Nullable
    Dense ofAllTokens();

    /** The experts, where there are some. */
    @Nullable
    Experts chosen();

    /** The inner width of a row: of experts, of one of those that are chosen. */
    int width();
}
