package dev.demitasse.quantize.source;

import dev.demitasse.exception.UnsupportedModelException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * How checkpoints of a model family differ from its GGUF files: one row of a table each. Everything else is in the
 * configuration, or follows from which tensors are there.
 */
enum CheckpointArchitecture {
    /** Llama, Mistral, SmolLM: GGUF files rotate neighbors, checkpoints halves of a head. */
    LLAMA("llama mistral", "silu", true, false, false, 0),
    /** Qwen 2 and 2.5. */
    QWEN2("qwen2", "silu", false, false, false, 0),
    /** Qwen 3. */
    QWEN3("qwen3", "silu", false, false, false, 0),
    /** Gemma 2: norms multiply by 1 + w, and there are norms after attention and feed-forward. */
    GEMMA2("gemma2", "gelu_pytorch_tanh", false, true, true, 2),
    /** Gemma 3; its multimodal checkpoints hold the text model beside others. */
    GEMMA3("gemma3_text gemma3", "gelu_pytorch_tanh", false, true, true, 6),
    /** Phi 3 and 4. */
    PHI3("phi3", "silu", false, false, false, 0);

    private static final Pattern LAYER = Pattern.compile("layers\\.(\\d{1,6})\\.(.+)\\.(weight|bias)");

    /** Parts of layers, by their names in checkpoints. */
    private static final Map<String, String> PARTS = Map.ofEntries(
            Map.entry("input_layernorm", "attn_norm"),
            Map.entry("self_attn.q_proj", "attn_q"),
            Map.entry("self_attn.k_proj", "attn_k"),
            Map.entry("self_attn.v_proj", "attn_v"),
            Map.entry("self_attn.qkv_proj", "attn_qkv"),
            Map.entry("self_attn.o_proj", "attn_output"),
            Map.entry("self_attn.q_norm", "attn_q_norm"),
            Map.entry("self_attn.k_norm", "attn_k_norm"),
            Map.entry("mlp.gate_proj", "ffn_gate"),
            Map.entry("mlp.up_proj", "ffn_up"),
            Map.entry("mlp.gate_up_proj", "ffn_up"),
            Map.entry("mlp.down_proj", "ffn_down"));

    /** {@code Gemma3TextConfig}. */
    private static final Map<String, Object> GEMMA3_DEFAULTS = Map.of(
            "num_attention_heads",
            8.0,
            "num_key_value_heads",
            4.0,
            "head_dim",
            256.0,
            "max_position_embeddings",
            131_072.0,
            "rms_norm_eps",
            1e-6,
            "sliding_window",
            4096.0,
            "query_pre_attn_scalar",
            256.0);

    private static final Map<String, String> ALL =
            Map.of("embed_tokens.weight", "token_embd.weight", "norm.weight", "output_norm.weight");

    private final List<String> modelTypes;
    private final String activation;
    private final boolean interleaved;
    private final boolean normsPlusOne;
    private final Map<String, String> norms = new LinkedHashMap<>();
    private final int windowPeriod;

    /**
     * A row of the table.
     *
     * @param modelTypes values of {@code model_type}, separated by spaces
     * @param activation the gate's function
     * @param interleaved whether rows of queries and keys change places
     * @param normsPlusOne whether norms multiply by 1 + w
     * @param postNorms whether attention and feed-forward have a norm after them
     * @param windowPeriod n where all but each n-th layer see a window; 0 where the file says nothing of it
     */
    CheckpointArchitecture(
            String modelTypes,
            String activation,
            boolean interleaved,
            boolean normsPlusOne,
            boolean postNorms,
            int windowPeriod) {
        this.modelTypes = List.of(modelTypes.split(" ", -1));
        this.activation = activation;
        this.interleaved = interleaved;
        this.normsPlusOne = normsPlusOne;
        this.windowPeriod = windowPeriod;
        if (postNorms) {
            norms.put("post_attention_layernorm", "post_attention_norm");
            norms.put("pre_feedforward_layernorm", "ffn_norm");
            norms.put("post_feedforward_layernorm", "post_ffw_norm");
        } else {
            norms.put("post_attention_layernorm", "ffn_norm");
        }
    }

    /** The family of a configuration. */
    static CheckpointArchitecture of(Json config) {
        String type = config.string("model_type", "");
        return Arrays.stream(values())
                .filter(architecture -> architecture.modelTypes.contains(type))
                .findFirst()
                .orElseThrow(() -> new UnsupportedModelException(
                        config.source() + ": checkpoints of model_type \"" + type + "\" are not read; these are: "
                                + Arrays.stream(values())
                                        .flatMap(architecture -> architecture.modelTypes.stream())
                                        .toList()
                                + "."));
    }

    /** The name in GGUF files of a tensor of the text model ({@code model.} removed), or null where it has none. */
    @Nullable
    String ggufName(String name) {
        if (ALL.containsKey(name)) {
            return ALL.get(name);
        }
        Matcher matcher = LAYER.matcher(name);
        if (!matcher.matches()) {
            return null;
        }
        String part = norms.getOrDefault(matcher.group(2), PARTS.get(matcher.group(2)));
        return part == null ? null : "blk." + matcher.group(1) + "." + part + "." + matcher.group(3);
    }

    /** Values that transformers takes where a configuration leaves them out, as multimodal ones do. */
    Map<String, Object> defaults() {
        return this == GEMMA3 ? GEMMA3_DEFAULTS : Map.of();
    }

    boolean interleaved() {
        return interleaved;
    }

    boolean normsPlusOne() {
        return normsPlusOne;
    }

    String activation() {
        return activation;
    }

    int windowPeriod() {
        return windowPeriod;
    }
}
