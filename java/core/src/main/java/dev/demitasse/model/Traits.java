package dev.demitasse.model;

import dev.demitasse.device.Gate;
import dev.demitasse.device.Rope;
import dev.demitasse.device.Routing;

/**
 * A row of {@link Architecture}: its fields are read, and written where the row is made alone, by methods that return
 * the row.
 */
final class Traits {
    final Rope rope;
    Gate gate = Gate.SILU;
    boolean scaledEmbedding;
    int windowPeriod;
    boolean plainWindows;
    float windowRopeBase;
    boolean ropeInWindowsOnly;
    int noRopePeriod;
    boolean ropeSwitch;
    int hiddenScaledLayers;
    boolean dividedLogits;
    boolean normalizedExperts = true;
    Routing.Score expertScore = Routing.Score.SOFTMAX;
    boolean postNormsOnly;
    boolean noRopeSections;
    Layer.Mixing recurrent = Layer.Mixing.ATTENTION;
    int attentionPeriod;
    boolean groupedValueHeads;
    boolean gatedAttention;
    boolean unscaledAttention;
    boolean normalizedValues;
    boolean layerNorm;
    boolean parallel;
    boolean noRope;
    boolean oneBranch;
    boolean windowRequired;
    boolean encoder;
    boolean ungated;
    boolean fullLayersFirst;
    boolean latent;
    int chunk;
    float restTemperature;
    boolean normalizedHeads;
    int plainHeadExperts;
    boolean weighedInputs;
    int sigmoidVocabulary;

    Traits(Rope rope) {
        this.rope = rope;
    }

    /** The gate of the feed-forward layers is GELU. */
    Traits gelu() {
        gate = Gate.GELU;
        return this;
    }

    /** Embeddings are multiplied by sqrt(hidden), where the file has no factor for them. */
    Traits scaledEmbedding() {
        scaledEmbedding = true;
        return this;
    }

    /**
     * The first {@code period} - 1 of each {@code period} layers see a window only (1: every layer), where the file has
     * a window and does not say which layers see it.
     */
    Traits windowed(int period) {
        windowPeriod = period;
        return this;
    }

    /** Layers with a window ignore RoPE scaling; their base where the file has none for them, 0: the model's. */
    Traits plainWindows(float base) {
        plainWindows = true;
        windowRopeBase = base;
        return this;
    }

    /** Layers without a window have no RoPE, where the model has windows. */
    Traits ropeInWindowsOnly() {
        ropeInWindowsOnly = true;
        return this;
    }

    /** The last of each {@code period} layers has no RoPE. */
    Traits noRopeEvery(int period) {
        noRopePeriod = period;
        return this;
    }

    /** A file whose {@code rope.scaling.finetuned} is false has no RoPE. */
    Traits ropeSwitch() {
        ropeSwitch = true;
        return this;
    }

    /** The one model of so many layers scales queries by hidden / heads, not headDim. */
    Traits hiddenScaled(int layers) {
        hiddenScaledLayers = layers;
        return this;
    }

    /** The file's {@code logit_scale} divides logits; elsewhere it multiplies them. */
    Traits dividedLogits() {
        dividedLogits = true;
        return this;
    }

    /** Weights of experts are as their softmax over all experts gives them, where the file does not say. */
    Traits plainExperts() {
        normalizedExperts = false;
        return this;
    }

    /** What makes weights of the router's logits, where the file does not say. */
    Traits expertScore(Routing.Score score) {
        expertScore = score;
        return this;
    }

    /** The gate of the feed-forward layers is SiLU between limits, and what it gates is clamped. */
    Traits clampedGate() {
        gate = Gate.CLAMPED_SWISH;
        return this;
    }

    /** Blocks normalize what their parts return, not what they get. */
    Traits postNormsOnly() {
        postNormsOnly = true;
        return this;
    }

    /** Files with {@code rope.dimension_sections} order the elements of heads in another way. */
    Traits noRopeSections() {
        noRopeSections = true;
        return this;
    }

    /** Layers without heads of keys and values ({@code head_count_kv} of 0) are gated short convolutions. */
    Traits shortConvolutions() {
        recurrent = Layer.Mixing.SHORT_CONVOLUTION;
        return this;
    }

    /**
     * All layers but the last of each {@code period} are gated delta nets, where the file does not say which; the
     * others' attention has a gate, whose rows lie behind those of each head's queries.
     */
    Traits deltaNets(int period) {
        recurrent = Layer.Mixing.DELTA_NET;
        attentionPeriod = period;
        gatedAttention = true;
        return this;
    }

    /** Products of queries and keys are not scaled, where the file does not say. */
    Traits unscaledAttention() {
        unscaledAttention = true;
        return this;
    }

    /**
     * Heads of values are normalized without weights; those of a layer that has no matrix for values are what its keys
     * were before their norm.
     */
    Traits normalizedValues() {
        normalizedValues = true;
        return this;
    }

    /** Norms take the mean off: layer normalization, with biases where the file has them. */
    Traits layerNorm() {
        layerNorm = true;
        return this;
    }

    /** The feed-forward layer has the mixer's input, and both are added to the residual stream. */
    Traits parallel() {
        parallel = true;
        return this;
    }

    /** A file that does not say what windows there are is not complete. */
    Traits windowRequired() {
        windowRequired = true;
        return this;
    }

    /** Positions see those behind them too, where the file does not say; embeddings are normalized. */
    Traits encoder() {
        encoder = true;
        return this;
    }

    /** Feed-forward layers have no gate: their activation is GELU. */
    Traits ungatedGelu() {
        gate = Gate.NORMAL_CDF;
        ungated = true;
        return this;
    }

    /** Of each period of layers the first has no window, not the last. */
    Traits fullLayersFirst() {
        fullLayersFirst = true;
        return this;
    }

    /** No layer has RoPE. */
    Traits noRope() {
        noRope = true;
        return this;
    }

    /** Layers without heads of keys and values are selective state spaces (Mamba 2). */
    Traits mamba() {
        recurrent = Layer.Mixing.MAMBA;
        return this;
    }

    /**
     * A layer has a mixer or a feed-forward layer, and {@code attn_norm} before it: the latter where it has no heads of
     * keys and values, and {@code feed_forward_length} is above 0.
     */
    Traits oneBranch() {
        oneBranch = true;
        return this;
    }

    /** Feed-forward layers have no gate: their activation is the square of ReLU. */
    Traits squaredRelu() {
        gate = Gate.RELU;
        ungated = true;
        return this;
    }

    /** Attention is latent ({@link Mixer.LatentAttention}). */
    Traits latent() {
        latent = true;
        return this;
    }

    /**
     * Windows are runs of so many positions from position 0 on, whatever length the file gives them; a file that gives
     * them 0 has none. Queries of layers without RoPE have a temperature that grows with each such run.
     */
    Traits chunks(int positions, float temperature) {
        chunk = positions;
        restTemperature = temperature;
        return this;
    }

    /**
     * Heads of queries and keys that are rotated are normalized without weights, but in the one model of so many
     * experts.
     */
    Traits normalizedHeads(int butWithExperts) {
        normalizedHeads = true;
        plainHeadExperts = butWithExperts;
        return this;
    }

    /** Experts of the family's models of so many tokens are scored by SIGMOID, where the file does not say. */
    Traits sigmoidVocabulary(int tokens) {
        sigmoidVocabulary = tokens;
        return this;
    }

    /** Weights of experts multiply what the experts are given. */
    Traits weighedInputs() {
        weighedInputs = true;
        return this;
    }

    /** Neighboring heads of a delta net's values have the same keys. */
    Traits groupedValueHeads() {
        groupedValueHeads = true;
        return this;
    }
}
