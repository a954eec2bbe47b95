package dev.demitasse.quantize;

import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a matrix does in a model, by which mixes choose its type. */
enum TensorRole {
    EMBEDDING,
    OUTPUT,
    VALUE,
    ATTENTION_OUTPUT,
    DOWN,
    OTHER;

    private static final Pattern LAYER = Pattern.compile("blk\\.(\\d{1,6})\\..*");

    /** Parts of names in the order in which they are looked for; a fused projection of all three counts as values. */
    private static final Map<String, TensorRole> PARTS = Map.of(
            "attn_v.",
            VALUE,
            "attn_qkv.",
            VALUE,
            "attn_kv_b.",
            VALUE,
            "attn_output.",
            ATTENTION_OUTPUT,
            "ffn_down",
            DOWN);

    /** Matrices that stay as they are: small, and their errors spread. */
    private static final List<String> KEPT = List.of(
            "_norm.weight",
            "ffn_gate_inp",
            "altup",
            "laurel",
            "per_layer_model_proj",
            "position_embd",
            "token_types",
            "ssm_conv1d",
            "shortconv.conv",
            "attn_rel_b");

    static TensorRole of(String name) {
        if (name.equals("token_embd.weight") || name.equals("per_layer_token_embd.weight")) {
            return EMBEDDING;
        }
        if (name.equals("output.weight")) {
            return OUTPUT;
        }
        return PARTS.entrySet().stream()
                .filter(part -> name.contains(part.getKey()))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElse(OTHER);
    }

    /** Whether a tensor is a matrix that is quantized at all. */
    static boolean isQuantized(String name, long[] dimensions) {
        return dimensions.length > 1 && name.endsWith("weight") && KEPT.stream().noneMatch(name::contains);
    }

    /** The layer in a tensor's name, or 0. */
    static int layer(String name) {
        Matcher matcher = LAYER.matcher(name);
        return matcher.matches() ? Integer.parseInt(matcher.group(1)) : 0;
    }
}
