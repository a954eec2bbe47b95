package dev.demitasse.model;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RotatedColumns;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The weights of a model on a device. */
public final class Weights implements AutoCloseable {
    /**
     * One transformer block. Null where the architecture has no such thing.
     *
     * @param attentionNorm before attention
     * @param query projection, rows heads × headDim
     * @param queryBias of it
     * @param queryNorm RMS norm of queries
     * @param postAttentionNorm after attention, before the residual
     * @param postFeedForwardNorm after the feed-forward layer, before the residual
     * @param rotatedInput whether attention's input is rotated before it meets the matrices to queries, keys and values
     * @param rotatedOutput whether what attention returns is rotated before it meets {@code attentionOutput}
     */
    record Block(
            @Nullable Buffer attentionNorm,
            LinearWeight query,
            @Nullable Buffer queryBias,
            LinearWeight key,
            @Nullable Buffer keyBias,
            LinearWeight value,
            @Nullable Buffer valueBias,
            @Nullable HeadNorm queryNorm,
            @Nullable HeadNorm keyNorm,
            LinearWeight attentionOutput,
            @Nullable Buffer attentionOutputBias,
            @Nullable Buffer postAttentionNorm,
            @Nullable Buffer feedForwardNorm,
            FeedForward feedForward,
            @Nullable Buffer postFeedForwardNorm,
            boolean rotatedInput,
            boolean rotatedOutput) {}

    /**
     * An RMS norm of heads, each alone or those of a row together.
     *
     * @param columns elements that are normalized together
     */
    record HeadNorm(Buffer weight, int columns) {}

    /** Norms between the parts of a block. */
    private record BlockNorms(
            @Nullable Buffer attention,
            @Nullable Buffer postAttention,
            @Nullable Buffer feedForward,
            @Nullable Buffer postFeedForward) {}

    /** The metadata key of files whose activations are to be rounded in a way of their own. */
    public static final String ACTIVATIONS = "demitasse.activations";

    /** Tensors that a refusal names. */
    private static final int NAMED = 5;
    /** Tensors that {@link dev.demitasse.Model} reads itself. */
    private static final Set<String> ELSEWHERE =
            Set.of("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight");
    /** Tensors that change nothing: frequencies that the hyperparameters give as well. */
    private static final Pattern HARMLESS =
            Pattern.compile("blk\\.\\d+\\.attn_rot_embd(\\.weight)?|.*\\.rotary_emb\\.inv_freq");

    private final Gguf file;
    private final Device device;
    private final @Nullable WeightLayout forced;
    /** Whether all blocks of a row of Q8_0 have the same scale, and are to lie as such rows. */
    private final boolean rowScales;

    private final List<AutoCloseable> owned = new ArrayList<>();
    private final Set<String> used = new HashSet<>(ELSEWHERE);

    private final LinearWeight embedding;
    private final LinearWeight output;
    private final Buffer outputNorm;
    private final List<Block> blocks = new ArrayList<>();
    private long bytes;

    /**
     * Packs all weights onto {@code device}.
     *
     * @param forced a layout for every matrix instead of its type's own (F32: dequantized), or null
     * @throws ModelFormatException where a tensor is missing or has another shape than the hyperparameters say
     * @throws UnsupportedModelException where the file has tensors that the forward pass would leave out
     */
    public Weights(Gguf file, ModelConfig config, Device device, @Nullable WeightLayout forced) {
        this.file = file;
        this.rowScales = file.metadata().has(ACTIVATIONS) && device.activations() == ActivationType.INT8_ROW;
        this.device = device;
        this.forced = forced;
        try {
            GgufTensor table = tensor("token_embd.weight");
            check(table, config.vocabulary(), config.hidden());
            embedding = matrix(table, 0, config.vocabulary());
            GgufTensor head = file.tensor("output.weight");
            output = head == null ? embedding : matrix("output.weight", config.vocabulary(), config.hidden());
            outputNorm = vector("output_norm.weight", config.hidden(), config.logitScale());
            for (int layer = 0; layer < config.layers().size(); layer++) {
                blocks.add(block("blk." + layer + ".", config));
            }
            requireAllUsed(config);
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private void requireAllUsed(ModelConfig config) {
        List<String> left = file.tensors().stream()
                .map(GgufTensor::name)
                .filter(name -> !used.contains(name) && !HARMLESS.matcher(name).matches())
                .filter(name -> !isOfSkippedBlock(name, config))
                .toList();
        if (!left.isEmpty()) {
            String more = left.size() > NAMED ? " and " + (left.size() - NAMED) + " more" : "";
            throw new UnsupportedModelException(
                    "The model has tensors that are not supported, and without which it would"
                            + " compute something else: "
                            + String.join(", ", left.subList(0, Math.min(NAMED, left.size())))
                            + more + ".");
        }
    }

    /** Blocks behind the last layer predict the token after the next one; they are not run. */
    private static boolean isOfSkippedBlock(String name, ModelConfig config) {
        int last = config.layers().size() + config.skippedBlocks();
        for (int block = config.layers().size(); block < last; block++) {
            if (name.startsWith("blk." + block + ".")) {
                return true;
            }
        }
        return false;
    }

    private Block block(String p, ModelConfig config) {
        int hidden = config.hidden();
        int queries = config.heads() * config.headDim();
        int keys = config.kvHeads() * config.headDim();
        Parts attention = parts(
                new String[] {p + "attn_q", p + "attn_k", p + "attn_v"},
                p + "attn_qkv",
                new int[] {queries, keys, keys},
                hidden);
        Parts attentionOutput = part(p + "attn_output", hidden, queries);
        BlockNorms norms = norms(p, hidden, config.architecture().traits().postNormsOnly);
        requireNotRotated(p + "attn_q", norms.attention == null && attention.rotated);
        FeedForward feedForward = feedForward(p, config);
        requireNotRotated(
                p + "ffn_up",
                norms.feedForward == null && feedForward instanceof FeedForward.Dense dense && dense.rotatedInput());
        return new Block(
                norms.attention,
                attention.matrices[0],
                optional(p + "attn_q.bias", queries),
                attention.matrices[1],
                optional(p + "attn_k.bias", keys),
                attention.matrices[2],
                optional(p + "attn_v.bias", keys),
                headNorm(p + "attn_q_norm.weight", config.headDim(), config.heads()),
                headNorm(p + "attn_k_norm.weight", config.headDim(), config.kvHeads()),
                attentionOutput.matrices[0],
                optional(p + "attn_output.bias", hidden),
                norms.postAttention,
                norms.feedForward,
                feedForward,
                norms.postFeedForward,
                attention.rotated,
                attentionOutput.rotated);
    }

    private FeedForward feedForward(String p, ModelConfig config) {
        String router = p + "ffn_gate_inp.weight";
        if (file.tensor(router) == null) {
            return dense(p, "", config.hidden(), config.feedForward());
        }
        Routing routing = config.routing();
        if (routing == null) {
            throw new ModelFormatException("Tensor \"" + router + "\" chooses experts; the hyperparameters have none.");
        }
        GgufTensor bias = file.tensor(p + "exp_probs_b.bias");
        if (bias != null) {
            used.add(bias.name());
        }
        int count = routing.experts();
        LinearWeight chooser = matrix(router, count, config.hidden());
        boolean fused = file.tensor(p + "ffn_gate_up_exps.weight") != null;
        String gate = p + (fused ? "ffn_gate_up_exps.weight" : "ffn_gate_exps.weight");
        String up = fused ? gate : p + "ffn_up_exps.weight";
        int parts = fused ? 2 : 1;
        int width = rowsOfEach(gate, count) / parts;
        boolean shared = file.tensor(p + "ffn_up_shexp.weight") != null;
        String sharedGate = p + "ffn_gate_inp_shexp.weight";
        return new FeedForward.Experts(
                routing,
                chooser,
                bias == null ? new float[0] : values(file, bias, count),
                experts(gate, count, 0, parts, width, config.hidden()),
                experts(up, count, parts - 1, parts, width, config.hidden()),
                experts(p + "ffn_down_exps.weight", count, 0, 1, config.hidden(), width),
                shared ? shared(p, config.hidden()) : null,
                shared && file.tensor(sharedGate) != null ? matrix(sharedGate, 1, config.hidden()) : null);
    }

    private FeedForward.Dense dense(String p, String suffix, int hidden, int width) {
        String up = p + "ffn_up" + suffix;
        Parts input = parts(new String[] {p + "ffn_gate" + suffix, up}, up, new int[] {width, width}, hidden);
        Parts down = part(p + "ffn_down" + suffix, hidden, width);
        return new FeedForward.Dense(
                input.matrices[0], input.matrices[1], down.matrices[0], input.rotated, down.rotated);
    }

    /** The expert that all tokens have; what it is given goes to others too, and is not rotated. */
    private FeedForward.Dense shared(String p, int hidden) {
        FeedForward.Dense shared = dense(p, "_shexp", hidden, rowsOfEach(p + "ffn_up_shexp.weight", 1));
        requireNotRotated(p + "ffn_up_shexp", shared.rotatedInput());
        return shared;
    }

    /**
     * Matrices of experts, which lie behind each other in one tensor.
     *
     * @param part which of an expert's matrices there
     * @param parts that an expert has there, all of the same shape
     * @param rows of a matrix
     */
    private List<LinearWeight> experts(String name, int count, int part, int parts, int rows, int columns) {
        GgufTensor tensor = tensor(name);
        check(tensor, count * parts * rows, columns);
        List<LinearWeight> experts = new ArrayList<>();
        for (int e = 0; e < count; e++) {
            experts.add(matrix(tensor, (e * parts + part) * rows, rows));
        }
        return experts;
    }

    /** Rows that each of {@code count} matrices in a tensor has. */
    private int rowsOfEach(String name, int count) {
        GgufTensor tensor = tensor(name);
        if (tensor.rows() % count != 0 || tensor.rows() / count < 1 || tensor.rows() > Integer.MAX_VALUE / 4) {
            throw new ModelFormatException("Tensor \"" + name + "\" has " + tensor.rows()
                    + " rows, which are not those of " + count + " experts.");
        }
        return (int) (tensor.rows() / count);
    }

    /**
     * Which norms there are, by which tensors there are: a norm after attention is the one before the feed-forward
     * layer where the file has none of that name and none after it.
     */
    private BlockNorms norms(String p, int hidden, boolean postNormsOnly) {
        Buffer attention = optional(p + "attn_norm.weight", hidden);
        Buffer postAttention = optional(p + "post_attention_norm.weight", hidden);
        Buffer feedForward = optional(p + "ffn_norm.weight", hidden);
        Buffer postFeedForward = optional(p + "post_ffw_norm.weight", hidden);
        if (feedForward == null && postFeedForward == null) {
            feedForward = postAttention;
            postAttention = null;
        }
        if (attention == null && (postAttention == null || !postNormsOnly)) {
            throw missing(p + "attn_norm.weight");
        }
        if (feedForward == null && (postFeedForward == null || !postNormsOnly)) {
            throw missing(p + "ffn_norm.weight");
        }
        return new BlockNorms(attention, postAttention, feedForward, postFeedForward);
    }

    /** Rows that others read too, as the residual stream where no norm comes before, cannot be rotated in place. */
    private static void requireNotRotated(String name, boolean rotated) {
        if (rotated) {
            throw new UnsupportedModelException("The columns of \"" + RotatedColumns.name(name + ".weight")
                    + "\" are rotated, and what it is multiplied by has other uses; such models are not supported.");
        }
    }

    private @Nullable HeadNorm headNorm(String name, int headDim, int heads) {
        GgufTensor tensor = file.tensor(name);
        if (tensor == null) {
            return null;
        }
        int columns = tensor.elements() == headDim ? headDim : Math.multiplyExact(headDim, heads);
        return new HeadNorm(vector(name, columns), columns);
    }

    /**
     * Matrices with the same input.
     *
     * @param rotated whether that is to be rotated
     */
    private record Parts(LinearWeight[] matrices, boolean rotated) {}

    private Parts part(String name, int rows, int columns) {
        return parts(new String[] {name}, name, new int[] {rows}, columns);
    }

    /** Matrices with the same input, each a tensor of its own or all of them one tensor's rows in order. */
    private Parts parts(String[] names, String fused, int[] rows, int columns) {
        boolean rotated = Stream.of(names[0], fused).anyMatch(name -> file.tensor(tensorName(name, true)) != null);
        LinearWeight[] parts = new LinearWeight[names.length];
        if (file.tensor(tensorName(names[0], rotated)) != null) {
            for (int i = 0; i < names.length; i++) {
                parts[i] = matrix(tensorName(names[i], rotated), rows[i], columns);
            }
            return new Parts(parts, rotated);
        }
        GgufTensor all = file.tensor(tensorName(fused, rotated));
        if (all == null) {
            throw missing(names[0] + ".weight");
        }
        check(all, Arrays.stream(rows).sum(), columns);
        int from = 0;
        for (int i = 0; i < names.length; i++) {
            parts[i] = matrix(all, from, rows[i]);
            from += rows[i];
        }
        return new Parts(parts, rotated);
    }

    private static String tensorName(String name, boolean rotated) {
        String plain = name + ".weight";
        return rotated ? RotatedColumns.name(plain) : plain;
    }

    private LinearWeight matrix(String name, int rows, int columns) {
        GgufTensor tensor = tensor(name);
        check(tensor, rows, columns);
        return matrix(tensor, 0, rows);
    }

    private LinearWeight matrix(GgufTensor tensor, int first, int count) {
        used.add(tensor.name());
        MatrixSource all = new MatrixSource(
                tensor.name(), tensor.type(), (int) tensor.rows(), (int) tensor.columns(), tensor.data());
        MatrixSource source = all.rows(first, count);
        LinearWeight weight = device.upload(source, layout(source.type()));
        owned.add(weight);
        bytes += weight.bytes();
        if (source.data().isMapped()) {
            source.data().unload(); // its pages are not needed again, and count as this process's memory
        }
        return weight;
    }

    private WeightLayout layout(TensorType type) {
        if (forced != null) {
            return forced;
        }
        return rowScales && type == TensorType.Q8_0 ? WeightLayout.int8(WeightLayout.ROW) : type.layout();
    }

    private @Nullable Buffer optional(String name, int length) {
        return file.tensor(name) == null ? null : vector(name, length);
    }

    private Buffer vector(String name, int length) {
        return vector(name, length, 1);
    }

    private Buffer vector(String name, int length, float factor) {
        used.add(name);
        float[] values = values(file, tensor(name), length);
        for (int i = 0; factor != 1 && i < length; i++) {
            values[i] *= factor;
        }
        Buffer buffer = device.upload(values);
        owned.add(buffer);
        return buffer;
    }

    /** The values of a one-dimensional tensor of {@code length} elements. */
    static float[] values(Gguf file, GgufTensor tensor, int length) {
        if (tensor.elements() != length) {
            throw new ModelFormatException("Tensor \"" + tensor.name() + "\" has " + tensor.elements()
                    + " elements; the hyperparameters ask for " + length + ".");
        }
        float[] values = new float[length];
        new MatrixSource(tensor.name(), tensor.type(), 1, length, tensor.data()).dequantizeRow(0, values);
        for (float value : values) {
            if (!Float.isFinite(value)) {
                throw new ModelFormatException(
                        "Tensor \"" + tensor.name() + "\" has a value that is NaN or infinite; the file is damaged.");
            }
        }
        return values;
    }

    private GgufTensor tensor(String name) {
        GgufTensor tensor = file.tensor(name);
        if (tensor == null) {
            throw missing(name);
        }
        return tensor;
    }

    private static ModelFormatException missing(String name) {
        return new ModelFormatException("Tensor \"" + name + "\" is missing; the file is not a complete model.");
    }

    private static void check(GgufTensor tensor, int rows, int columns) {
        if (tensor.rows() != rows || tensor.columns() != columns) {
            throw new ModelFormatException("Tensor \"" + tensor.name() + "\" is " + tensor.rows() + " × "
                    + tensor.columns() + "; the hyperparameters ask for " + rows + " × " + columns + ".");
        }
    }

    /** The widest inner row of the feed-forward layers, those of experts that all tokens have included; at least 1. */
    int denseWidth() {
        int widest = 1;
        for (Block block : blocks) {
            FeedForward.Dense dense = switch (block.feedForward()) {
                case FeedForward.Dense layer -> layer;
                case FeedForward.Experts layer -> layer.shared();
            };
            widest = Math.max(widest, dense == null ? 0 : dense.width());
        }
        return widest;
    }

    /** The widest inner row of an expert that is chosen, 0 where there are none. */
    int expertWidth() {
        return blocks.stream()
                .map(Block::feedForward)
                .filter(FeedForward.Experts.class::isInstance)
                .mapToInt(FeedForward::width)
                .max()
                .orElse(0);
    }

    LinearWeight embedding() {
        return embedding;
    }

    LinearWeight output() {
        return output;
    }

    Buffer outputNorm() {
        return outputNorm;
    }

    Block block(int layer) {
        return blocks.get(layer);
    }

    /** Bytes of the matrices that a token is computed with: of chosen experts, as many as a token has. */
    public long bytesPerToken() {
        long others = 0;
        for (Block block : blocks) {
            if (block.feedForward() instanceof FeedForward.Experts layer) {
                long experts = Stream.of(layer.gates(), layer.ups(), layer.downs())
                        .flatMap(List::stream)
                        .mapToLong(LinearWeight::bytes)
                        .sum();
                int unused = layer.routing().experts() - layer.routing().used();
                others += experts / layer.routing().experts() * unused;
            }
        }
        return bytes - others;
    }

    /** Bytes of all matrices on the device. */
    public long bytes() {
        return bytes;
    }

    @Override
    public void close() {
        for (AutoCloseable closeable : owned) {
            try {
                closeable.close();
            } catch (RuntimeException e) {
                throw e;
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
        owned.clear();
    }
}
