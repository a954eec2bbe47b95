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
     * @param queryNorm RMS norm of each query head
     * @param postAttentionNorm after attention, before the residual
     * @param postFeedForwardNorm after the feed-forward layer, before the residual
     * @param rotated which inputs are rotated before they meet their matrices
     */
    record Block(
            Buffer attentionNorm,
            LinearWeight query,
            @Nullable Buffer queryBias,
            LinearWeight key,
            @Nullable Buffer keyBias,
            LinearWeight value,
            @Nullable Buffer valueBias,
            @Nullable Buffer queryNorm,
            @Nullable Buffer keyNorm,
            LinearWeight attentionOutput,
            @Nullable Buffer attentionOutputBias,
            @Nullable Buffer postAttentionNorm,
            Buffer feedForwardNorm,
            LinearWeight gate,
            LinearWeight up,
            LinearWeight down,
            @Nullable Buffer postFeedForwardNorm,
            RotatedInputs rotated) {}

    /** Which inputs meet matrices whose columns are rotated ({@link RotatedColumns}). */
    record RotatedInputs(boolean attention, boolean attentionOutput, boolean feedForward, boolean down) {}

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
            outputNorm = vector("output_norm.weight", config.hidden());
            for (int layer = 0; layer < config.layers(); layer++) {
                blocks.add(block("blk." + layer + ".", config));
            }
            requireAllUsed();
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private void requireAllUsed() {
        List<String> left = file.tensors().stream()
                .map(GgufTensor::name)
                .filter(name -> !used.contains(name) && !HARMLESS.matcher(name).matches())
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
        Parts feedForward = parts(
                new String[] {p + "ffn_gate", p + "ffn_up"},
                p + "ffn_up",
                new int[] {config.feedForward(), config.feedForward()},
                hidden);
        Parts down = part(p + "ffn_down", hidden, config.feedForward());
        return new Block(
                vector(p + "attn_norm.weight", hidden),
                attention.matrices[0],
                optional(p + "attn_q.bias", queries),
                attention.matrices[1],
                optional(p + "attn_k.bias", keys),
                attention.matrices[2],
                optional(p + "attn_v.bias", keys),
                optional(p + "attn_q_norm.weight", config.headDim()),
                optional(p + "attn_k_norm.weight", config.headDim()),
                attentionOutput.matrices[0],
                optional(p + "attn_output.bias", hidden),
                optional(p + "post_attention_norm.weight", hidden),
                vector(p + "ffn_norm.weight", hidden),
                feedForward.matrices[0],
                feedForward.matrices[1],
                down.matrices[0],
                optional(p + "post_ffw_norm.weight", hidden),
                new RotatedInputs(attention.rotated, attentionOutput.rotated, feedForward.rotated, down.rotated));
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
        used.add(name);
        Buffer buffer = device.upload(values(file, tensor(name), length));
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
