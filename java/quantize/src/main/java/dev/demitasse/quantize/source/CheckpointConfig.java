package dev.demitasse.quantize.source;

import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The hyperparameters of a checkpoint's {@code config.json} as those of a GGUF file. */
final class CheckpointConfig {
    private static final float DEFAULT_EPSILON = 1e-6f;
    private static final int DEFAULT_BASE = 10_000;
    /** RoPE's bases of Gemma 3 where its configuration says nothing. */
    private static final int GEMMA3_BASE = 1_000_000;

    private static final int MOST_HEAD_DIM = 1024;

    private final Json config;
    private final CheckpointArchitecture architecture;
    private final String prefix;
    private final int heads;
    private final int hidden;
    private final int layers;
    private final int headDim;
    private final Map<String, MetadataValue> metadata = new LinkedHashMap<>();
    private final Map<String, float[]> factors = new LinkedHashMap<>();

    /**
     * Reads a configuration.
     *
     * @param config of the text model
     * @param name what the model is called
     * @throws UnsupportedModelException where it asks for what GGUF files of its architecture cannot say
     */
    CheckpointConfig(Json config, CheckpointArchitecture architecture, String name) {
        this.config = config.withDefaults(architecture.defaults());
        this.architecture = architecture;
        String key = architecture.name().toLowerCase(Locale.ROOT);
        this.prefix = key + ".";
        metadata.put("general.architecture", MetadataValue.of(MetadataType.STRING, key));
        metadata.put("general.name", MetadataValue.of(MetadataType.STRING, name));
        this.heads = this.config.count("num_attention_heads");
        this.hidden = this.config.count("hidden_size");
        this.layers = this.config.count("num_hidden_layers");
        this.headDim = this.config.has("head_dim") ? this.config.count("head_dim") : hidden / heads;
        if (headDim < 2 || headDim % 2 != 0 || headDim > MOST_HEAD_DIM) {
            throw config.bad("head_dim", "is " + headDim + "; even lengths to " + MOST_HEAD_DIM + " are possible");
        }
        put("context_length", context());
        put("embedding_length", hidden);
        put("block_count", layers);
        put("feed_forward_length", this.config.count("intermediate_size"));
        put("attention.head_count", heads);
        put(
                "attention.head_count_kv",
                this.config.has("num_key_value_heads") ? this.config.count("num_key_value_heads") : heads);
        put("attention.key_length", headDim);
        put("attention.value_length", headDim);
        put("attention.layer_norm_rms_epsilon", (float) this.config.number("rms_norm_eps", DEFAULT_EPSILON));
        requireActivation();
        window();
        caps();
        rope();
    }

    /** Positions: a window of all layers that GGUF files of Llama's family cannot say is the most that is right. */
    private int context() {
        int trained = config.count("max_position_embeddings");
        int window = config.integer("sliding_window", 0);
        return architecture == CheckpointArchitecture.LLAMA && window > 0 ? Math.min(window, trained) : trained;
    }

    private void put(String key, int value) {
        metadata.put(prefix + key, MetadataValue.of(MetadataType.UINT32, value));
    }

    private void put(String key, float value) {
        metadata.put(prefix + key, MetadataValue.of(MetadataType.FLOAT32, value));
    }

    private void put(String key, String value) {
        metadata.put(prefix + key, MetadataValue.of(MetadataType.STRING, value));
    }

    private UnsupportedModelException unsupported(String what) {
        return new UnsupportedModelException(config.source() + ": " + what + ".");
    }

    private void requireActivation() {
        String given = config.string("hidden_activation", config.string("hidden_act", architecture.activation()));
        if (!given.equals(architecture.activation())) {
            throw unsupported("the activation \"" + given + "\" is not supported for this architecture; \""
                    + architecture.activation() + "\" is");
        }
    }

    private void window() {
        boolean phi = architecture == CheckpointArchitecture.PHI3;
        int window = config.integer("sliding_window", 0);
        int period = architecture.windowPeriod();
        if (phi || period > 0 && window > 0) {
            put("attention.sliding_window", window);
        }
        if (period == 0 && config.bool("use_sliding_window", false)) {
            throw unsupported("a window of some layers (use_sliding_window) is not supported for this architecture");
        }
        int given = config.integer("sliding_window_pattern", period);
        List<?> layers = period == 0 ? List.of() : config.list("layer_types");
        boolean fits = period == 0 || given == period;
        for (int i = 0; i < layers.size(); i++) {
            fits &= layers.get(i).equals("sliding_attention") == (i % period < period - 1);
        }
        if (!fits) {
            throw unsupported("layers with a window are not all but each " + period + "th");
        }
    }

    private void caps() {
        if (config.has("attn_logit_softcapping")) {
            put("attn_logit_softcapping", (float) config.number("attn_logit_softcapping"));
        }
        if (config.has("final_logit_softcapping")) {
            put("final_logit_softcapping", (float) config.number("final_logit_softcapping"));
        }
        double scalar = config.number("query_pre_attn_scalar", headDim);
        if (scalar != headDim && scalar != (double) hidden / heads) {
            throw unsupported("query_pre_attn_scalar is " + scalar + ", neither the length of a head nor hidden_size"
                    + " a head");
        }
    }

    /** RoPE, in the words of transformers before version 5 and since. */
    private void rope() {
        Json parameters = config.object("rope_parameters");
        Json global = parameters.has("full_attention") ? parameters.object("full_attention") : parameters;
        Json scaling = parameters.values().isEmpty() ? config.object("rope_scaling") : global;
        boolean gemma3 = architecture == CheckpointArchitecture.GEMMA3;
        double base = config.number("rope_theta", global.number("rope_theta", gemma3 ? GEMMA3_BASE : DEFAULT_BASE));
        put("rope.freq_base", (float) base);
        double local = config.number(
                "rope_local_base_freq", parameters.object("sliding_attention").number("rope_theta", 0));
        if (local > 0) {
            put("rope.freq_base_swa", (float) local);
        }
        double part = config.number("partial_rotary_factor", global.number("partial_rotary_factor", 1));
        if (!(part > 0 && part <= 1)) {
            throw config.bad("partial_rotary_factor", "is " + part + "; it must be above 0 and at most 1");
        }
        int dimensions = (int) (headDim * part);
        put("rope.dimension_count", dimensions);
        String type = scaling.string("rope_type", scaling.string("type", "default"));
        switch (type) {
            case "default" -> {}
            case "linear" -> scale("linear", scaling);
            case "yarn" -> {
                for (String key : List.of("mscale", "mscale_all_dim", "attention_factor", "beta_fast", "beta_slow")) {
                    double usual = key.equals("beta_fast") ? 32 : key.equals("beta_slow") ? 1 : Double.NaN;
                    if (scaling.has(key) && scaling.number(key) != usual) {
                        throw unsupported("YaRN scaling with \"" + key + "\" is not supported");
                    }
                }
                scale("yarn", scaling);
                put("rope.scaling.original_context_length", original(scaling));
            }
            case "llama3" -> factors.put("rope_freqs.weight", llama3(scaling, base, dimensions));
            case "longrope", "su" -> longRope(scaling);
            default -> throw unsupported("RoPE scaling \"" + type + "\" is not supported");
        }
    }

    private int original(Json scaling) {
        return config.has("original_max_position_embeddings")
                ? config.count("original_max_position_embeddings")
                : scaling.has("original_max_position_embeddings")
                        ? scaling.count("original_max_position_embeddings")
                        : config.count("max_position_embeddings");
    }

    private void scale(String type, Json scaling) {
        put("rope.scaling.type", type);
        put("rope.scaling.factor", (float) scaling.number("factor"));
    }

    /** Long waves are stretched, short ones not, those between by degrees (Llama 3.1's {@code apply_scaling}). */
    private static float[] llama3(Json scaling, double base, int dimensions) {
        double factor = scaling.number("factor");
        double low = scaling.number("low_freq_factor", 1);
        double high = scaling.number("high_freq_factor", 4);
        double original = scaling.number("original_max_position_embeddings", 8192);
        float[] factors = new float[dimensions / 2];
        for (int i = 0; i < factors.length; i++) {
            double wave = 2 * Math.PI * Math.pow(base, 2.0 * i / dimensions);
            double smooth = Math.clamp((original / wave - low) / (high - low), 0, 1);
            factors[i] = (float) (1 / ((1 - smooth) / factor + smooth));
        }
        return factors;
    }

    private void longRope(Json scaling) {
        int original = original(scaling);
        double stretch = (double) config.count("max_position_embeddings") / original;
        double magnitude = stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original));
        put("rope.scaling.original_context_length", original);
        put("rope.scaling.attn_factor", (float) scaling.number("attention_factor", magnitude));
        factors.put("rope_factors_long.weight", scaling.numbers("long_factor"));
        factors.put("rope_factors_short.weight", scaling.numbers("short_factor"));
    }

    /** Transformer blocks. */
    int layers() {
        return layers;
    }

    /** Width of the residual stream. */
    int hidden() {
        return hidden;
    }

    /** Elements of a head. */
    int headDim() {
        return headDim;
    }

    /** Keys and values. */
    Map<String, MetadataValue> metadata() {
        return metadata;
    }

    /** Tensors that a checkpoint computes and a GGUF file holds. */
    Map<String, float[]> factors() {
        return factors;
    }

    /** Tells a GGUF file how many tokens there are. */
    void vocabulary(int size) {
        put("vocab_size", size);
    }
}
