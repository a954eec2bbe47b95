package dev.demitasse.quantize.advise;

import dev.demitasse.ModelShape;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.quant.RotatedColumns;
import dev.demitasse.quant.TensorType;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The matrices of a model: those of its file, or those that its dimensions say.
 *
 * @param calls matrices that the same rows are multiplied by at once, in all layers
 * @param output the output matrix
 * @param tables matrices of which rows are looked up alone
 */
record ModelMatrices(List<List<Named>> calls, Named output, List<Named> tables) {
    private static final String EMBEDDING = "token_embd.weight";
    private static final String OUTPUT = "output.weight";
    private static final String LAYER_EMBEDDING = "per_layer_token_embd.weight";

    private static final Pattern BLOCK = Pattern.compile("blk\\.(\\d{1,6})\\.(.*)");
    /** Matrices of a layer whose rows come in at once. */
    private static final List<Pattern> TOGETHER = List.of(
            Pattern.compile("(?:attn_(?:q|k|v|qkv|gate|q_a|kv_a_mqa)|ssm_(?:in|alpha|beta|ba))\\.weight()"),
            Pattern.compile("ffn_(?:gate|up)(|_exps|_shexp)\\.weight"));
    /** What has two dimensions, and no row is multiplied by it. */
    private static final Pattern NO_MATRIX = Pattern.compile(".*(_norm|ssm_conv1d|shortconv\\.conv)\\.weight");

    /**
     * A matrix, or one of each of several experts.
     *
     * @param name in GGUF files, without what marks rotated columns
     * @param outputs rows
     * @param columns inputs
     * @param experts how many there are of it; 1 but for experts
     * @param type in the file; null where there is none
     */
    record Named(
            String name,
            int outputs,
            int columns,
            int experts,
            @Nullable TensorType type) {}

    /**
     * {@return the matrices that dimensions say}
     *
     * @throws UsageException where they do not say all
     */
    static ModelMatrices of(ModelShape shape) {
        if (shape.special() != null) {
            throw new UsageException(shape.special() + ", so its dimensions alone do not say all; give its file.");
        }
        List<Named> all = new ArrayList<>();
        int hidden = shape.hidden();
        ModelShape.Experts experts = shape.experts();
        for (int layer = 0; layer < shape.layers(); layer++) {
            String p = "blk." + layer + ".";
            all.add(named(p + "attn_q", shape.queries(), hidden, 1));
            all.add(named(p + "attn_k", shape.keys(), hidden, 1));
            all.add(named(p + "attn_v", shape.keys(), hidden, 1));
            all.add(named(p + "attn_output", hidden, shape.queries(), 1));
            if (experts == null || layer < experts.denseLayers()) {
                all.addAll(feedForward(p, "", hidden, shape.feedForward(), 1));
                continue;
            }
            all.add(named(p + "ffn_gate_inp", experts.count(), hidden, 1));
            all.addAll(feedForward(p, "_exps", hidden, experts.inner(), experts.count()));
            if (experts.shared() > 0) {
                all.addAll(feedForward(p, "_shexp", hidden, experts.shared(), 1));
            }
        }
        Named embedding = new Named(EMBEDDING, shape.vocabulary(), hidden, 1, null);
        Named output = shape.tied() ? embedding : new Named(OUTPUT, shape.vocabulary(), hidden, 1, null);
        return new ModelMatrices(together(all), output, shape.tied() ? List.of() : List.of(embedding));
    }

    private static List<Named> feedForward(String p, String end, int hidden, int inner, int experts) {
        return List.of(
                named(p + "ffn_gate" + end, inner, hidden, experts),
                named(p + "ffn_up" + end, inner, hidden, experts),
                named(p + "ffn_down" + end, hidden, inner, experts));
    }

    private static Named named(String name, int outputs, int columns, int experts) {
        return new Named(name + ".weight", outputs, columns, experts, null);
    }

    /**
     * {@return the matrices of a file, without those of blocks that a pass does not run}
     *
     * @throws ModelFormatException where it has no embedding
     */
    static ModelMatrices of(ModelShape shape, Gguf file) {
        List<Named> all = new ArrayList<>();
        List<Named> tables = new ArrayList<>();
        Named output = null;
        Named embedding = null;
        for (GgufTensor tensor : file.tensors()) {
            String name = RotatedColumns.plainName(tensor.name());
            Matcher block = BLOCK.matcher(name);
            boolean run = !block.matches() || Integer.parseInt(block.group(1)) < shape.layers();
            if (!run || !isMatrix(name, tensor)) {
                continue;
            }
            boolean experts = name.contains("_exps.");
            long[] dimensions = tensor.dimensions();
            int outputs = size(name, experts ? dimensions[1] : tensor.rows());
            int count = experts ? size(name, tensor.rows() / outputs) : 1;
            Named matrix = new Named(name, outputs, size(name, tensor.columns()), count, tensor.type());
            switch (name) {
                case EMBEDDING -> embedding = matrix;
                case OUTPUT -> output = matrix;
                case LAYER_EMBEDDING -> tables.add(matrix);
                default -> all.add(matrix);
            }
        }
        if (embedding == null) {
            throw new ModelFormatException(
                    "Tensor \"" + EMBEDDING + "\" is missing; the file is not a complete model.");
        }
        if (output != null) {
            tables.add(embedding);
        }
        return new ModelMatrices(together(all), output == null ? embedding : output, List.copyOf(tables));
    }

    private static int size(String name, long size) {
        if (size > Integer.MAX_VALUE) {
            throw new ModelFormatException("Tensor \"" + name + "\" has a dimension of " + size + "; no matrix has.");
        }
        return (int) size;
    }

    private static boolean isMatrix(String name, GgufTensor tensor) {
        return tensor.dimensions().length > 1
                && tensor.rows() > 1
                && name.endsWith(".weight")
                && !NO_MATRIX.matcher(name).matches();
    }

    private static List<List<Named>> together(Collection<Named> all) {
        Map<String, List<Named>> calls = new LinkedHashMap<>();
        all.forEach(matrix ->
                calls.computeIfAbsent(call(matrix), key -> new ArrayList<>()).add(matrix));
        return List.copyOf(calls.values());
    }

    /** What matrices of one call have in common. */
    private static String call(Named matrix) {
        Matcher block = BLOCK.matcher(matrix.name);
        if (!block.matches()) {
            return matrix.name;
        }
        for (int i = 0; i < TOGETHER.size(); i++) {
            Matcher matcher = TOGETHER.get(i).matcher(block.group(2));
            if (matcher.matches()) {
                return block.group(1) + "/" + i + matcher.group(1) + "/" + matrix.columns + "/" + matrix.experts;
            }
        }
        return matrix.name;
    }
}
