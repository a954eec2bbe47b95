package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.ScanWeights;
import dev.demitasse.quant.RotatedColumns;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Reads what mixes the positions of a sequence in one block of a file. */
final class MixerReader {
    private final ModelTensors tensors;
    private final ModelConfig config;
    private final Traits traits;
    private final int hidden;
    private final String p; // begins the names of the block's tensors

    private MixerReader(ModelTensors tensors, ModelConfig config, String p) {
        this.tensors = tensors;
        this.config = config;
        this.traits = config.architecture().traits();
        this.hidden = config.hidden();
        this.p = p;
    }

    /**
     * The mixer of a block; null where it has none.
     *
     * @param p begins the names of the block's tensors
     * @param normalized whether it is given what a norm returns, which nobody else reads
     */
    static @Nullable Mixer read(ModelTensors tensors, ModelConfig config, String p, Layer layer, boolean normalized) {
        MixerReader reader = new MixerReader(tensors, config, p);
        Latent latent = config.latent();
        return switch (layer.mixing()) {
            case ATTENTION -> latent == null ? reader.attention(layer, normalized) : reader.latentAttention(latent);
            case DELTA_NET -> reader.deltaNet(reader.recurrent());
            case MAMBA -> reader.mamba(reader.recurrent());
            case NONE -> null;
            case SHORT_CONVOLUTION -> reader.shortConvolution(reader.recurrent());
        };
    }

    private Recurrent recurrent() {
        return Objects.requireNonNull(config.recurrent(), "the configuration of layers with a state");
    }

    private Mixer.Attention attention(Layer layer, boolean normalized) {
        int headDim = config.heads(layer).headDim();
        int kvHeads = config.heads(layer).kvHeads();
        int queries = config.heads() * headDim;
        int keys = kvHeads * headDim;
        List<String> names = new ArrayList<>();
        List<Integer> rows = new ArrayList<>();
        if (!traits.gatedAttention) {
            names.add(p + "attn_q");
            rows.add(queries);
        }
        if (layer.appends()) {
            names.add(p + "attn_k");
            rows.add(keys);
        }
        boolean keysAreValues =
                traits.normalizedValues && tensors.has(p + "attn_k.weight") && !tensors.has(p + "attn_v.weight");
        if (layer.appends() && !keysAreValues) {
            names.add(p + "attn_v");
            rows.add(keys);
        }
        LinearWeight gate = null;
        LinearWeight query = null;
        if (traits.gatedAttention) { // of each head, the rows of queries and then those of gates
            query = tensors.ofTwo(p + "attn_q.weight", config.heads(), hidden, new int[] {headDim, headDim}, 0);
            gate = tensors.ofTwo(p + "attn_q.weight", config.heads(), hidden, new int[] {headDim, headDim}, 1);
        }
        ModelTensors.Parts input = tensors.parts(
                names.toArray(String[]::new),
                p + "attn_qkv",
                rows.stream().mapToInt(Integer::intValue).toArray(),
                hidden);
        Iterator<@Nullable Buffer> biases = Arrays.asList(input.biases()).iterator();
        ModelTensors.requireNotRotated(p + "attn_q", (traits.gatedAttention || !normalized) && input.rotated());
        Iterator<LinearWeight> matrices = List.of(input.matrices()).iterator();
        ModelTensors.Parts output = tensors.part(p + "attn_output", hidden, queries);
        if (!layer.appends()) { // files may have what is not used
            tensors.skip(p + "attn_k_norm.weight");
            for (String name : List.of(p + "attn_k", p + "attn_v")) {
                tensors.skip(name + ".weight", RotatedColumns.name(name + ".weight"), name + ".scale");
            }
        }
        return new Mixer.Attention(
                query == null ? matrices.next() : query,
                query == null ? biases.next() : tensors.optional(p + "attn_q.bias", queries),
                layer.appends() ? matrices.next() : null,
                layer.appends() ? biases.next() : null,
                matrices.hasNext() ? matrices.next() : null,
                biases.hasNext() ? biases.next() : null,
                layer.normalizedHeads()
                        ? tensors.plainNorm(headDim)
                        : tensors.headNorm(p + "attn_q_norm.weight", headDim, config.heads()),
                keyNorm(layer, headDim, kvHeads),
                layer.appends() && traits.normalizedValues ? tensors.plainNorm(headDim) : null,
                gate,
                tensors.optional(p + "attn_sinks.weight", config.heads()),
                output.matrices()[0],
                output.biases()[0],
                input.rotated(),
                output.rotated());
    }

    private @Nullable HeadNorm keyNorm(Layer layer, int headDim, int kvHeads) {
        if (!layer.appends()) {
            return null;
        }
        return layer.normalizedHeads()
                ? tensors.plainNorm(headDim)
                : tensors.headNorm(p + "attn_k_norm.weight", headDim, kvHeads);
    }

    private Mixer.LatentAttention latentAttention(Latent shape) {
        int heads = config.heads();
        boolean direct = shape.queryRank() == 0;
        String query = p + (direct ? "attn_q.weight" : "attn_q_b.weight");
        int columns = direct ? hidden : shape.queryRank();
        int[] runs = {shape.keyDim(), shape.ropeDim()}; // of each head, the rows of both
        LinearWeight[] compressed =
                tensors.slices(p + "attn_kv_a_mqa.weight", new int[] {shape.rank(), shape.ropeDim()}, hidden);
        return new Mixer.LatentAttention(
                direct ? null : tensors.matrix(p + "attn_q_a.weight", columns, hidden),
                direct ? null : tensors.vector(p + "attn_q_a_norm.weight", columns),
                tensors.ofTwo(query, heads, columns, runs, 0),
                tensors.ofTwo(query, heads, columns, runs, 1),
                compressed[0],
                tensors.vector(p + "attn_kv_a_norm.weight", shape.rank()),
                compressed[1],
                tensors.group(p + "attn_k_b.weight", null, heads, 0, 1, shape.rank(), shape.keyDim()),
                tensors.group(p + "attn_v_b.weight", null, heads, 0, 1, shape.valueDim(), shape.rank()),
                tensors.matrix(p + "attn_output.weight", hidden, heads * shape.valueDim()));
    }

    private Mixer.DeltaNet deltaNet(Recurrent shape) {
        int heads = shape.heads();
        int values = heads * shape.headDim();
        String both = p + "ssm_ba.weight"; // of each head of keys, the rows of beta and then those of alpha
        boolean fused = tensors.has(both);
        int[] runs = {heads / shape.keyHeads(), heads / shape.keyHeads()};
        return new Mixer.DeltaNet(
                tensors.matrix(p + "attn_qkv.weight", shape.channels(), hidden),
                tensors.matrix(p + "attn_gate.weight", values, hidden),
                fused
                        ? tensors.ofTwo(both, shape.keyHeads(), hidden, runs, 0)
                        : tensors.matrix(p + "ssm_beta.weight", heads, hidden),
                fused
                        ? tensors.ofTwo(both, shape.keyHeads(), hidden, runs, 1)
                        : tensors.matrix(p + "ssm_alpha.weight", heads, hidden),
                tensors.transposed(p + "ssm_conv1d.weight", shape.channels(), shape.kernel()),
                tensors.vector(p + "ssm_dt.bias", heads),
                tensors.vector(p + "ssm_a", heads),
                tensors.vector(p + "ssm_norm.weight", shape.headDim()),
                tensors.matrix(p + "ssm_out.weight", hidden, values));
    }

    private Mixer.Mamba mamba(Recurrent shape) {
        int heads = shape.heads();
        int values = heads * shape.headDim();
        int channels = shape.channels();
        LinearWeight[] parts = tensors.slices(p + "ssm_in.weight", new int[] {values, channels, heads}, hidden);
        return new Mixer.Mamba(
                parts[0],
                parts[1],
                parts[2],
                tensors.transposed(p + "ssm_conv1d.weight", channels, shape.kernel()),
                tensors.optional(p + "ssm_conv1d.bias", channels),
                new ScanWeights(
                        tensors.vector(p + "ssm_dt.bias", heads),
                        tensors.vector(p + "ssm_a", heads),
                        tensors.vector(p + "ssm_d", heads)),
                tensors.vector(p + "ssm_norm.weight", values),
                tensors.matrix(p + "ssm_out.weight", hidden, values));
    }

    private Mixer.ShortConvolution shortConvolution(Recurrent shape) {
        LinearWeight[] parts =
                tensors.slices(p + "shortconv.in_proj.weight", new int[] {hidden, hidden, hidden}, hidden);
        return new Mixer.ShortConvolution(
                parts[0],
                parts[1],
                parts[2],
                tensors.transposed(p + "shortconv.conv.weight", hidden, shape.kernel()),
                tensors.matrix(p + "shortconv.out_proj.weight", hidden, hidden));
    }
}
