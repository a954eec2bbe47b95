package dev.demitasse.model;

/**
 * What differs between the layers of a model.
 *
 * @param mixing how positions of a sequence are mixed
 * @param cache which of {@link ModelConfig#caches} has its keys and values; 0 for layers with a state
 * @param store which layer of that cache; for layers with a state, which of the states
 * @param appends whether it puts keys and values there; else they are those of an earlier layer
 * @param window positions up to its own that its attention sees, 0 for all; -n for those of its run of n
 * @param ahead positions after its own that it sees, as far as its text goes; 0 for causal attention
 * @param queryRope which of {@link ModelConfig#ropes} rotates its queries, or {@link #NO_ROPE}
 * @param keyRope which of them rotates its keys, or {@link #NO_ROPE}
 * @param normalizedHeads whether heads of queries and keys are normalized without weights
 * @param feedForward inner width of its feed-forward layer, where that has no experts; 0 where there is none
 */
public record Layer(
        Mixing mixing,
        int cache,
        int store,
        boolean appends,
        int window,
        int ahead,
        int queryRope,
        int keyRope,
        boolean normalizedHeads,
        int feedForward) {
    /** Queries or keys that are not rotated. */
    public static final int NO_ROPE = -1;

    /** What mixes the positions of a sequence. */
    public enum Mixing {
        /** Attention over a cache of keys and values. */
        ATTENTION,
        /** A gated delta net, with a state. */
        DELTA_NET,
        /** A gated short convolution, with a state. */
        SHORT_CONVOLUTION,
        /** A selective state space (Mamba 2). */
        MAMBA,
        /** Nothing: the layer is a feed-forward layer alone. */
        NONE
    }
}
