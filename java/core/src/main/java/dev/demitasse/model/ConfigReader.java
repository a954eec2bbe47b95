package dev.demitasse.model;

import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Gate;
import dev.demitasse.device.Routing;
import dev.demitasse.device.ScanShape;
import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Metadata;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads the hyperparameters of one file. */
final class ConfigReader {
    private static final int MAXIMUM_EXPERTS = 2048;
    private static final int MAXIMUM_USED_EXPERTS = 256;
    private static final int MAXIMUM_KERNEL = 16;
    private static final int MAXIMUM_STATE_HEADS = 1024;

    private final ArchitectureKeys keys;
    private final Traits traits;

    ConfigReader(Metadata metadata) {
        keys = new ArchitectureKeys(metadata, Architecture.of(metadata.string("general.architecture")));
        traits = keys.architecture().traits();
    }

    /** As {@link ModelConfig#read}. */
    ModelConfig read(int vocabulary, RopeFrequencies.Factors factors, int context, boolean keeps) {
        int blocks = keys.bounded("block_count", 1, ArchitectureKeys.MAXIMUM_LAYERS);
        int skipped = keys.optional("nextn_predict_layers", 0, blocks - 1);
        int layerCount = blocks - skipped;
        int hidden = keys.bounded("embedding_length", 1, ArchitectureKeys.MAXIMUM_WIDTH);
        int heads = keys.bounded("attention.head_count", 1, ArchitectureKeys.MAXIMUM_WIDTH);
        int trained = keys.bounded("context_length", 1, Integer.MAX_VALUE);
        if (traits.latent && !keys.has("attention.key_length_mla")) {
            throw new UnsupportedModelException("The file has the keys and values of latent attention in one matrix"
                    + " (attn_kv_b), as files before May 2025; convert the model anew.");
        }
        boolean causal = keys.metadata().bool(keys.key("attention.causal"), !traits.encoder);
        LayerReader reader = new LayerReader(keys, layerCount, blocks, hidden, heads, causal, keeps && causal);
        RopeFrequencies[] kinds = ropes(reader.headDims, trained, factors, Math.min(context, trained));
        List<Layer> layers = reader.read(kinds);
        int layerInput =
                keys.optional("embedding_length_per_layer_input", 0, ArchitectureKeys.MAXIMUM_WIDTH / layerCount);
        float epsilon = keys.positive(
                traits.layerNorm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 1e-5f);
        float residualScale = residualScale();
        float embeddingScale = keys.factor("embedding_scale", traits.scaledEmbedding ? (float) Math.sqrt(hidden) : 1);
        float logitScale = keys.factor("logit_scale", 1);
        if (reader.headDims[0] != reader.headDims[1] && !traits.unscaledAttention) {
            throw new UnsupportedModelException("Heads of layers with a window have " + reader.headDims[1]
                    + " elements, those of others " + reader.headDims[0] + "; such models of the architecture \""
                    + keys.architecture().key() + "\" are not supported.");
        }
        Latent latent = traits.latent ? latent(reader) : null;
        double scaledDim = latent != null
                ? latent.keyDim() + latent.ropeDim()
                : layerCount == traits.hiddenScaledLayers ? (double) hidden / heads : reader.headDims[0];
        return new ModelConfig(
                keys.architecture(),
                vocabulary,
                trained,
                hidden,
                heads,
                reader.caches,
                epsilon,
                epsilon / (residualScale * residualScale),
                keys.factor(
                        "attention.scale", traits.unscaledAttention ? 1 : (float) (yarnScale() / Math.sqrt(scaledDim))),
                keys.number("attn_logit_softcapping", 0),
                keys.number("final_logit_softcapping", 0),
                embeddingScale / residualScale,
                traits.dividedLogits ? 1 / logitScale : logitScale,
                causal,
                pooling(),
                gate(),
                routing(vocabulary),
                layerInput,
                layers,
                skipped,
                layerInput > 0 ? null : reader.draftBlock(kinds[0]),
                reader.ropes,
                recurrent(reader.recurrentLayers(), hidden),
                latent);
    }

    private Latent latent(LayerReader reader) {
        int headDim = reader.headDims[0];
        int rank = keys.bounded("attention.kv_lora_rank", 1, headDim - 1);
        int ropeDim = headDim - rank;
        if (keys.integer("rope.dimension_count", 0) != ropeDim
                || keys.integer("attention.value_length", rank) != rank) {
            throw keys.bad(
                    "attention.key_length",
                    "is " + headDim
                            + ", which is not rope.dimension_count more than kv_lora_rank and the value length");
        }
        if (reader.caches.stream().anyMatch(cache -> cache.kvHeads() != 1)) {
            throw keys.bad("attention.head_count_kv", "is not 1, as latent attention has it");
        }
        int keyLength = keys.bounded("attention.key_length_mla", ropeDim + 1, ArchitectureKeys.MAXIMUM_WIDTH);
        return new Latent(
                keys.optional("attention.q_lora_rank", 0, ArchitectureKeys.MAXIMUM_WIDTH),
                rank,
                keyLength - ropeDim,
                ropeDim,
                keys.bounded("attention.value_length_mla", 1, ArchitectureKeys.MAXIMUM_WIDTH));
    }

    /**
     * What multiplies the scale of attention where models with latent attention were stretched by YaRN: for it their
     * heads keep their length.
     */
    private double yarnScale() {
        if (!stretchesScale()) {
            return 1;
        }
        double factor = keys.positive("rope.scaling.factor", 1);
        double root = 1 + keys.number("rope.scaling.yarn_log_multiplier", 0) * Math.log(factor);
        return root * root;
    }

    private boolean stretchesScale() {
        return traits.latent
                && "yarn".equals(keys.metadata().string(keys.key("rope.scaling.type"), null))
                && keys.number("rope.scaling.yarn_log_multiplier", 0) != 0;
    }

    private Pooling pooling() {
        int id = keys.integer("pooling_type", Pooling.NONE.id());
        for (Pooling pooling : Pooling.values()) {
            if (pooling.id() == id) {
                return pooling;
            }
        }
        throw keys.bad("pooling_type", "is " + id + "; 0 to 4 are known");
    }

    /** What the file says of the feed-forward layers' activation, which is the architecture's but for ModernBERTs. */
    private Gate gate() {
        String name = keys.metadata().string(keys.key("hidden_activation"), null);
        boolean silu = "silu".equals(name) || "swiglu".equals(name);
        boolean gelu = name != null && (name.startsWith("gelu") || name.equals("geglu"));
        boolean fits = name == null
                || gelu && (traits.gate == Gate.GELU || traits.gate == Gate.NORMAL_CDF)
                || silu && (traits.gate == Gate.SILU || traits.gate == Gate.CLAMPED_SWISH);
        if (!fits && !(silu && traits.encoder && !traits.ungated)) {
            throw new UnsupportedModelException("The activation of feed-forward layers is \"" + name
                    + "\"; such models of the architecture \""
                    + keys.architecture().key()
                    + "\" are not supported.");
        }
        return fits ? traits.gate : Gate.SILU;
    }

    private @Nullable Recurrent recurrent(int layers, int hidden) {
        if (layers == 0) {
            return null;
        }
        if (traits.recurrent == Layer.Mixing.SHORT_CONVOLUTION) {
            int kernel = keys.bounded("shortconv.l_cache", 2, MAXIMUM_KERNEL);
            return new Recurrent(layers, hidden, kernel, 0, 0, 0, 0, false);
        }
        int kernel = keys.bounded("ssm.conv_kernel", 2, MAXIMUM_KERNEL);
        if (traits.recurrent == Layer.Mixing.MAMBA) {
            return mamba(layers, kernel);
        }
        int headDim = keys.bounded("ssm.state_size", 1, DeltaShape.MOST_HEAD_DIM);
        int keyHeads = keys.bounded("ssm.group_count", 1, MAXIMUM_STATE_HEADS);
        int heads = stateHeads(keyHeads);
        if (keys.integer("ssm.inner_size", heads * headDim) != heads * headDim) {
            throw keys.bad("ssm.inner_size", "is not " + heads + " heads of " + headDim);
        }
        int channels = (2 * keyHeads + heads) * headDim;
        return new Recurrent(layers, channels, kernel, keyHeads, heads, headDim, headDim, traits.groupedValueHeads);
    }

    /** Heads of layers with a state, of which each of {@code groups} has as many. */
    private int stateHeads(int groups) {
        int heads = keys.bounded("ssm.time_step_rank", 1, MAXIMUM_STATE_HEADS);
        if (heads % groups != 0) {
            throw keys.bad("ssm.time_step_rank", "is " + heads + ", no multiple of " + groups + " groups");
        }
        return heads;
    }

    private Recurrent mamba(int layers, int kernel) {
        int state = keys.bounded("ssm.state_size", 1, ScanShape.MOST_DIM);
        int groups = keys.bounded("ssm.group_count", 1, MAXIMUM_STATE_HEADS);
        int heads = stateHeads(groups);
        int inner = keys.bounded("ssm.inner_size", 1, ArchitectureKeys.MAXIMUM_WIDTH);
        if (inner % heads != 0 || inner / heads > ScanShape.MOST_DIM) {
            throw keys.bad(
                    "ssm.inner_size",
                    "is " + inner + ", which are not " + heads + " heads of 1 to " + ScanShape.MOST_DIM + " elements");
        }
        return new Recurrent(layers, inner + 2 * groups * state, kernel, groups, heads, inner / heads, state, true);
    }

    private @Nullable Routing routing(int vocabulary) {
        int experts = keys.optional("expert_count", 0, MAXIMUM_EXPERTS);
        if (experts == 0) {
            return null;
        }
        if (keys.integer("moe_latent_size", 0) > 0) {
            throw new UnsupportedModelException("The model's experts work on rows of another width (moe_latent_size),"
                    + " between two projections; such models are not supported yet.");
        }
        int groups = Math.max(1, keys.optional("expert_group_count", 0, experts));
        if (experts % groups != 0) {
            throw keys.bad("expert_group_count", "is " + groups + ", which does not divide " + experts + " experts");
        }
        int usedGroups = groups == 1 ? 1 : keys.bounded("expert_group_used_count", 1, groups);
        int id = keys.integer("expert_gating_func", 0);
        Routing.Score score = vocabulary == traits.sigmoidVocabulary ? Routing.Score.SIGMOID : traits.expertScore;
        for (Routing.Score each : Routing.Score.values()) {
            score = each.id() == id ? each : score;
        }
        if (id != 0 && score.id() != id) {
            throw keys.bad("expert_gating_func", "is " + id + "; 0 to 3 are known");
        }
        return new Routing(
                experts,
                keys.bounded("expert_used_count", 1, Math.min(experts / groups * usedGroups, MAXIMUM_USED_EXPERTS)),
                score,
                keys.metadata().bool(keys.key("expert_weights_norm"), traits.normalizedExperts),
                keys.factor("expert_weights_scale", 1),
                traits.weighedInputs,
                groups,
                usedGroups);
    }

    /** Its square is to divide an epsilon. */
    private float residualScale() {
        float scale = keys.factor("residual_scale", 1);
        if (!(scale >= 1e-6f && scale <= 1e6f)) {
            throw keys.bad("residual_scale", "is " + scale + "; 1e-6 to 1e6 are possible");
        }
        return scale;
    }

    /** The frequencies of layers without and with a window. */
    private RopeFrequencies[] ropes(int[] headDims, int trained, RopeFrequencies.Factors factors, int context) {
        if (traits.noRope) { // what files say of it is of no layer
            RopeFrequencies plain = RopeFrequencies.plain(headDims[0], 10_000);
            return new RopeFrequencies[] {plain, plain};
        }
        int dimensions = dimensions("rope.dimension_count", headDims[0], headDims[0]);
        int windowDimensions = dimensions(
                "rope.dimension_count_swa", headDims[1], headDims[1] == headDims[0] ? dimensions : headDims[1]);
        requireTextAlone(dimensions);
        float base = keys.positive("rope.freq_base", 10_000);
        float windowBase =
                keys.positive("rope.freq_base_swa", traits.windowRopeBase == 0 ? base : traits.windowRopeBase);
        String prefix = keys.key("");
        RopeFrequencies rope =
                RopeFrequencies.read(keys.metadata(), prefix, dimensions, base, trained, factors, context);
        if (stretchesScale()) {
            rope = rope.withMagnitude(keys.factor("rope.scaling.attn_factor", 1));
        }
        if (traits.normalizedHeads && rope.magnitude() != 1) {
            throw new UnsupportedModelException("RoPE changes the length of heads, which are normalized behind it; such"
                    + " models of the architecture \"" + keys.architecture().key() + "\" are not supported.");
        }
        if (traits.plainWindows) {
            return new RopeFrequencies[] {rope, RopeFrequencies.plain(windowDimensions, windowBase)};
        }
        boolean same = windowBase == base && windowDimensions == dimensions;
        return new RopeFrequencies[] {
            rope,
            same
                    ? rope
                    : RopeFrequencies.read(
                            keys.metadata(), prefix, windowDimensions, windowBase, trained, factors, context)
        };
    }

    private int dimensions(String name, int headDim, int otherwise) {
        int dimensions = keys.integer(name, otherwise);
        if (dimensions < 2 || dimensions % 2 != 0 || dimensions > headDim) {
            throw keys.bad(name, "is " + dimensions + " in heads of " + headDim);
        }
        return dimensions;
    }

    /**
     * Models of pictures divide angles among positions in time, height and width; those of text are alike, so that the
     * division does not matter where it leaves no angle out.
     */
    private void requireTextAlone(int dimensions) {
        int[] sections = keys.metadata().integers(keys.key("rope.dimension_sections"));
        int sum = 0;
        for (int i = 0; sections != null && i < sections.length; i++) {
            sum += sections[i];
        }
        if (sections != null && (sum != dimensions / 2 || traits.noRopeSections)) {
            throw new UnsupportedModelException("The sections of RoPE have " + sum + " angles, " + dimensions
                    + " elements have " + dimensions / 2 + "; such models of the architecture \""
                    + keys.architecture().key() + "\" are not supported.");
        }
    }
}
