package dev.demitasse.model;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Metadata;

/**
 * The hyperparameters of a model, read once and validated.
 *
 * @param architecture the family
 * @param vocabulary number of tokens
 * @param contextLength positions that the model was trained for
 * @param layers transformer blocks
 * @param hidden width of the residual stream
 * @param feedForward inner width of the feed-forward layers
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param headDim elements of a head
 * @param epsilon of the RMS norms
 * @param attentionScale multiplies query · key
 * @param attentionSoftCap soft cap of attention scores, 0 for none
 * @param finalSoftCap soft cap of logits, 0 for none
 * @param embeddingScale multiplies embeddings
 * @param window positions that a layer with a window sees, 0 where no layer has one
 * @param rope frequencies of layers without a window
 * @param windowRope frequencies of layers with a window
 */
public record ModelConfig(
        Architecture architecture,
        int vocabulary,
        int contextLength,
        int layers,
        int hidden,
        int feedForward,
        int heads,
        int kvHeads,
        int headDim,
        float epsilon,
        float attentionScale,
        float attentionSoftCap,
        float finalSoftCap,
        float embeddingScale,
        int window,
        RopeFrequencies rope,
        RopeFrequencies windowRope) {

    private static final int MAXIMUM_WIDTH = 1 << 20;
    private static final int MAXIMUM_LAYERS = 1024;

    /**
     * Reads the hyperparameters.
     *
     * @param metadata of the model
     * @param vocabulary number of tokens in its vocabulary
     * @param factors {@code rope_freqs} and {@code rope_factors_*} tensors
     * @param context positions that will be used, which decides between long and short RoPE factors
     * @throws ModelFormatException where they are missing or contradict each other
     * @throws UnsupportedModelException where they ask for what the forward pass has not
     */
    public static ModelConfig read(Metadata metadata, int vocabulary, RopeFrequencies.Factors factors, int context) {
        Architecture architecture = Architecture.of(metadata.string("general.architecture"));
        String prefix = architecture.key() + ".";
        int experts = metadata.integer(prefix + "expert_count", 0);
        if (experts > 0) {
            throw new UnsupportedModelException(
                    "The model is a mixture of " + experts + " experts; such models are not supported yet.");
        }
        int layers = bounded(metadata, prefix + "block_count", 1, MAXIMUM_LAYERS);
        int hidden = bounded(metadata, prefix + "embedding_length", 1, MAXIMUM_WIDTH);
        int heads = bounded(metadata, prefix + "attention.head_count", 1, MAXIMUM_WIDTH);
        int kvHeads = metadata.has(prefix + "attention.head_count_kv")
                ? bounded(metadata, prefix + "attention.head_count_kv", 1, MAXIMUM_WIDTH)
                : heads;
        if (heads % kvHeads != 0) {
            throw metadata.bad(
                    prefix + "attention.head_count_kv",
                    "is " + kvHeads + ", which does not divide " + heads + " heads");
        }
        int headDim = metadata.integer(prefix + "attention.key_length", 0);
        if (headDim == 0) {
            if (hidden % heads != 0) {
                throw metadata.bad(
                        prefix + "attention.head_count", "is " + heads + ", which does not divide " + hidden);
            }
            headDim = hidden / heads;
        }
        if (headDim < 2 || headDim % 2 != 0 || headDim > 1024) {
            throw metadata.bad(
                    prefix + "attention.key_length", "is " + headDim + "; even lengths to 1024 are possible");
        }
        if (metadata.integer(prefix + "attention.value_length", headDim) != headDim) {
            throw metadata.bad(prefix + "attention.value_length", "differs from the key length");
        }
        int ropeDim = metadata.integer(prefix + "rope.dimension_count", headDim);
        if (ropeDim < 2 || ropeDim % 2 != 0 || ropeDim > headDim) {
            throw metadata.bad(prefix + "rope.dimension_count", "is " + ropeDim + " in heads of " + headDim);
        }
        float base = positive(metadata, prefix + "rope.freq_base", 10_000);
        int trained = bounded(metadata, prefix + "context_length", 1, Integer.MAX_VALUE);
        RopeFrequencies rope =
                RopeFrequencies.read(metadata, prefix, ropeDim, base, trained, factors, Math.min(context, trained));
        float windowBase = architecture.windowRopeBase() == 0
                ? 0
                : positive(metadata, prefix + "rope.freq_base_swa", architecture.windowRopeBase());
        boolean hiddenScaled = layers == architecture.hiddenScaledLayers();
        return new ModelConfig(
                architecture,
                vocabulary,
                trained,
                layers,
                hidden,
                bounded(metadata, prefix + "feed_forward_length", 1, MAXIMUM_WIDTH),
                heads,
                kvHeads,
                headDim,
                positive(metadata, prefix + "attention.layer_norm_rms_epsilon", 1e-5f),
                (float) (1 / Math.sqrt(hiddenScaled ? (double) hidden / heads : headDim)),
                metadata.number(prefix + "attn_logit_softcapping", 0),
                metadata.number(prefix + "final_logit_softcapping", 0),
                architecture.scaledEmbedding() ? (float) Math.sqrt(hidden) : 1,
                Math.max(0, metadata.integer(prefix + "attention.sliding_window", 0)),
                rope,
                windowBase == 0 ? rope : RopeFrequencies.plain(ropeDim, windowBase));
    }

    /** Positions that layer {@code layer} sees, 0 for all. */
    public int window(int layer) {
        return architecture.windowed(layer) ? window : 0;
    }

    /** The RoPE frequencies of layer {@code layer}. */
    public RopeFrequencies rope(int layer) {
        return window(layer) == 0 ? rope : windowRope;
    }

    /** Bytes that a position takes in a cache of 16-bit numbers. */
    public long kvBytesPerPosition() {
        return 2L * layers * kvHeads * headDim * 2;
    }

    private static int bounded(Metadata metadata, String key, int least, int most) {
        int value = metadata.integer(key);
        if (value < least || value > most) {
            throw metadata.bad(key, "is " + value + "; " + least + " to " + most + " are possible");
        }
        return value;
    }

    private static float positive(Metadata metadata, String key, float otherwise) {
        float value = metadata.number(key, otherwise);
        if (!(value > 0)) {
            throw metadata.bad(key, "is " + value + "; it must be above zero");
        }
        return value;
    }
}
