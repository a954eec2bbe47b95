package dev.demitasse.model;

import dev.demitasse.device.Gate;
import dev.demitasse.device.Rope;
import dev.demitasse.device.Routing;
import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The hyperparameters of a model, read once and validated.
 *
 * <p>Where a model multiplies what each branch adds to the residual stream by s, the stream that is computed is the
 * model's divided by s: branches are added as they are, embeddings are divided by s, and RMS norms of the stream, which
 * are the same for both but for their epsilon, have {@code epsilon / s^2}.
 *
 * @param architecture the family
 * @param vocabulary number of tokens
 * @param contextLength positions that the model was trained for
 * @param hidden width of the residual stream
 * @param heads query heads
 * @param caches what keys and values of layers lie in
 * @param epsilon of the RMS norms of queries, keys and branches
 * @param residualEpsilon of the RMS norms of the residual stream
 * @param attentionScale multiplies query · key
 * @param attentionSoftCap soft cap of attention scores, 0 for none
 * @param finalSoftCap soft cap of logits, 0 for none
 * @param embeddingScale multiplies embeddings
 * @param logitScale multiplies logits, before their soft cap
 * @param causal whether a position sees none behind it; else texts are taken whole
 * @param pooling what of a text's rows is its embedding
 * @param gate the activation function of the feed-forward layers
 * @param routing of layers with experts; null where there are none
 * @param layerInput numbers that each layer gets of each token beside the residual stream; 0 where there are none
 * @param layers the transformer blocks
 * @param skippedBlocks blocks behind them that the file has, and that a pass does not run: they predict further tokens
 * @param draftBlock the first of those, where it can be run; null where there is none
 * @param ropes the different frequencies of layers
 * @param recurrent of the layers with a state; null where there are none
 * @param latent of attention; null where each layer has keys and values of its own
 */
public record ModelConfig(
        Architecture architecture,
        int vocabulary,
        int contextLength,
        int hidden,
        int heads,
        List<KvLayers> caches,
        float epsilon,
        float residualEpsilon,
        float attentionScale,
        float attentionSoftCap,
        float finalSoftCap,
        float embeddingScale,
        float logitScale,
        boolean causal,
        Pooling pooling,
        Gate gate,
        @Nullable Routing routing,
        int layerInput,
        List<Layer> layers,
        int skippedBlocks,
        @Nullable DraftBlock draftBlock,
        List<RopeFrequencies> ropes,
        @Nullable Recurrent recurrent,
        @Nullable Latent latent) {

    /**
     * Layers whose keys and values lie in one cache.
     *
     * @param kvHeads key and value heads
     * @param headDim elements of a head
     * @param layers how many they are; 1 where nothing is kept of a text, as where attention is not causal
     */
    public record KvLayers(int kvHeads, int headDim, int layers) {
        /** Elements of a position's keys, or of its values, in one of the layers. */
        public int width() {
            return kvHeads * headDim;
        }
    }

    /**
     * The block that predicts the token after the next one (multi-token prediction: DeepSeek-AI, "DeepSeek-V3", 2024).
     *
     * @param layer attention whose {@link Layer#cache} is the one behind {@link ModelConfig#caches}
     * @param heads of that cache
     */
    public record DraftBlock(Layer layer, KvLayers heads) {}

    /** Copies the lists. */
    public ModelConfig {
        caches = List.copyOf(caches);
        layers = List.copyOf(layers);
        ropes = List.copyOf(ropes);
    }

    /**
     * Reads the hyperparameters.
     *
     * @param metadata of the model
     * @param vocabulary number of tokens in its vocabulary
     * @param factors {@code rope_freqs} and {@code rope_factors_*} tensors
     * @param context positions that will be used, which decides between long and short RoPE factors
     * @param keeps whether keys and values are kept for rows to come; else all layers of a kind share one's room
     * @throws ModelFormatException where they are missing or contradict each other
     * @throws UnsupportedModelException where they ask for what the forward pass has not
     */
    public static ModelConfig read(
            Metadata metadata, int vocabulary, RopeFrequencies.Factors factors, int context, boolean keeps) {
        return new ConfigReader(metadata).read(vocabulary, factors, context, keeps);
    }

    /** The same, where keys and values are kept. */
    public static ModelConfig read(Metadata metadata, int vocabulary, RopeFrequencies.Factors factors, int context) {
        return read(metadata, vocabulary, factors, context, true);
    }

    /** The pairs of elements that rotary position embedding rotates. */
    public Rope ropeKind() {
        return architecture.traits().rope;
    }

    /** A number that is the same where positions are told in the same way: a file's context length may change it. */
    public int ropeSignature() {
        return ropes.stream().map(RopeFrequencies::signature).reduce(0, (all, each) -> 31 * all + each);
    }

    /** Whether it makes something of whole texts, and generates none. */
    public boolean isEncoder() {
        return !causal || architecture.traits().encoder;
    }

    /** Whether there are layers with experts. */
    public boolean isMixture() {
        return routing != null;
    }

    /**
     * Whether channels of a norm's or a matrix's result are read by more than the matrices behind it: in parallel
     * blocks, and where values are normalized.
     */
    public boolean sharesInputs() {
        return architecture.traits().parallel || architecture.traits().normalizedValues;
    }

    /**
     * Whether a tensor belongs to a block behind the last layer, which a pass does not run: those predict further
     * tokens.
     */
    public boolean isOfSkippedBlock(String tensor) {
        int end = tensor.startsWith("blk.") ? tensor.indexOf('.', 4) : -1;
        if (skippedBlocks == 0 || end < 5 || end > 8) {
            return false;
        }
        int block = 0;
        for (int i = 4; i < end; i++) {
            int digit = tensor.charAt(i) - '0';
            if (digit < 0 || digit > 9 || digit == 0 && i == 4 && end > 5) {
                return false;
            }
            block = 10 * block + digit;
        }
        return block >= layers.size() && block < layers.size() + skippedBlocks;
    }

    /** The heads of an attention layer. */
    KvLayers heads(Layer layer) {
        return stores(layer.cache() == caches.size()).get(layer.cache());
    }

    /**
     * What a cache of the model has stores for: {@link #caches}, and the draft block's.
     *
     * @param drafting whether the draft block is run
     */
    public List<KvLayers> stores(boolean drafting) {
        if (!drafting || draftBlock == null) {
            return caches;
        }
        List<KvLayers> stores = new ArrayList<>(caches);
        stores.add(draftBlock.heads);
        return stores;
    }

    /**
     * Bytes that a position takes in a cache; 0 where nothing is kept of a text.
     *
     * @param type of the cache
     * @param drafting whether the draft block is run
     */
    public long kvBytesPerPosition(KvType type, boolean drafting) {
        return !causal
                ? 0
                : stores(drafting).stream()
                        .mapToLong(store -> 2
                                * new KvShape(store.layers(), store.kvHeads(), store.headDim(), 1, type).bytes()
                                / KvShape.PAGE)
                        .sum();
    }
}
