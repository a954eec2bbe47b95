package dev.demitasse.quantize;

import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.ModelShape;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.quant.RotatedColumns;
import dev.demitasse.quantize.source.ModelSource;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Scales channels so that less is lost where operands are rounded: channel j of a product's input is divided by {@code
 * s_j} where it is made, by a norm or by another matrix's row, and columns that meet it are multiplied by it. The model
 * computes the same in exact arithmetic.
 *
 * <ul>
 *   <li>For W8A8 it moves the range of activations into weights, so that both fit INT8 with one scale a row: {@code s_j
 *       = max|x_j|^a / max|w_j|^(1-a)} (Xiao et al., "SmoothQuant: Accurate and Efficient Post-Training Quantization
 *       for Large Language Models", 2022).
 *   <li>For weights alone it spares those that meet large activations: {@code s_j = mean|x_j|^a} (Lin et al., "AWQ:
 *       Activation-aware Weight Quantization for On-Device LLM Compression and Acceleration", 2023).
 * </ul>
 *
 * <p>The strength a is the one of several whose error of the quantized product is the least on a text, for each product
 * of each layer; none at all is among them.
 *
 * <p>For W8A8 columns may be rotated after that, and activations where the model runs ({@link RotatedColumns}): where
 * that leaves at most {@value #WORTH} of the error, since it is one operation more. Of SmolLM2-135M those are {@code
 * ffn_down} and the projections to queries, keys and values in all layers, and a third of the others. A product of two
 * branches, as {@code ffn_down} has it, sticks out in another channel in every row: of its errors scaled channels leave
 * 0.022, the 64 largest channels in 16 bits (LLM.int8()) 0.016, and a rotation 0.010.
 */
public final class Smoothing {
    private static final double[] STRENGTHS = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
    /** Outputs of a matrix in which errors are measured. */
    private static final int OUTPUTS = 96;

    private static final double MOST_SCALE = 1e3;

    /** What a rotation leaves of the error, at most, where it is worth an operation. */
    private static final double WORTH = 0.75;

    private final Map<String, float[]> columns = new TreeMap<>();
    private final Map<String, float[]> rows = new TreeMap<>();
    private final Set<String> rotated = new TreeSet<>();
    private final List<Choice> choices = new ArrayList<>();

    /**
     * What was decided about a product.
     *
     * @param product the matrix that is multiplied, the first of those that share an input
     * @param strength a; 0 where nothing is smoothed
     * @param rotated whether columns are rotated
     * @param before relative error of the product with rounded operands as they are
     * @param after the same, scaled and rotated
     */
    public record Choice(String product, double strength, boolean rotated, double before, double after) {}

    /** A search's result: factors of the input's channels. */
    private record Best(float[] factors, double strength, boolean rotated, double before, double after) {}

    private final WeightMix mix;

    private final double worth;

    private Smoothing(WeightMix mix, double worth) {
        this.mix = mix;
        this.worth = worth;
    }

    /**
     * Runs a text through a model, and searches.
     *
     * @param model a GGUF file, best of 16 bits
     * @param mix what the model will be quantized to
     * @param options how the model is loaded; its context length is set to {@code window}
     * @param text some thousand tokens of what the model will be used for
     * @param window tokens that are run together
     * @param progress hears how many windows are done
     * @return the channels' scales and the products that are rotated, for {@link QuantizeOptions#withSmoothing}
     * @throws UsageException where the mix does not round
     */
    public static Smoothing search(
            Path model, WeightMix mix, ModelOptions options, String text, int window, WindowListener progress) {
        return search(model, mix, options, text, window, progress, WORTH);
    }

    /** The same, rotated where that leaves at most a share {@code worth} of the error. */
    static Smoothing search(
            Path model,
            WeightMix mix,
            ModelOptions options,
            String text,
            int window,
            WindowListener progress,
            double worth) {
        if (!mix.base().layout().element().quantized()) {
            throw new UsageException(
                    "Channels are scaled for weights that are rounded to integers; " + mix + " is not.");
        }
        requireNotRotated(model);
        ActivationSample sample = new ActivationSample();
        ModelShape shape = shape(model);
        try (Gguf file = Gguf.open(model);
                Model loaded = Model.load(file, options.withContextLength(window), sample)) {
            List<int[]> windows = Windows.of(loaded, text, window);
            for (int w = 0; w < windows.size(); w++) {
                loaded.evaluate(windows.get(w), window, (position, logits) -> {});
                progress.ran(w + 1, windows.size());
            }
        }
        Smoothing smoothing = new Smoothing(mix, worth);
        try (ModelSource source = ModelSource.open(model)) {
            Map<String, ModelSource.Tensor> tensors = new TreeMap<>();
            source.tensors().forEach(tensor -> tensors.put(tensor.name(), tensor));
            List<List<Runnable>> found = IntStream.range(0, shape.layers())
                    .parallel()
                    .mapToObj(layer -> smoothing.layer("blk." + layer + ".", shape, sample, tensors))
                    .toList();
            found.forEach(results -> results.forEach(Runnable::run));
        }
        return smoothing;
    }

    /**
     * Fails where channels of a model are not scaled, as {@link #search} does: before a calibration of minutes.
     *
     * @param model a GGUF file
     * @throws UnsupportedModelException where it is a mixture, an encoder, or has layers of a kind that is not known
     */
    public static void requireSupported(Path model) {
        shape(model);
    }

    private static ModelShape shape(Path model) {
        try (Gguf file = Gguf.open(model)) {
            ModelShape shape = ModelShape.of(file);
            String special = shape.special();
            if (special != null) {
                throw new UnsupportedModelException(special + ": channels of such models are not scaled yet.");
            }
            if (shape.experts() != null) {
                throw new UnsupportedModelException("The model is a mixture of experts: what is normalized goes to the"
                        + " router and to all experts, and its channels are not scaled yet. An importance matrix"
                        + " (imatrix) has numbers for each expert.");
            }
            return shape;
        }
    }

    /** A matrix whose columns are rotated has no channels that could be scaled where they are made. */
    private static void requireNotRotated(Path model) {
        try (ModelSource source = ModelSource.open(model)) {
            source.tensors().stream()
                    .map(ModelSource.Tensor::name)
                    .filter(RotatedColumns::isRotated)
                    .findFirst()
                    .ifPresent(name -> {
                        throw new UsageException("The columns of \"" + name + "\" of " + model
                                + " are rotated already; take the original model.");
                    });
        }
    }

    /** Searches a layer's four products; what it returns keeps the results, in order. */
    private List<Runnable> layer(
            String p, ModelShape shape, ActivationSample sample, Map<String, ModelSource.Tensor> tensors) {
        List<Runnable> results = new ArrayList<>();
        boolean fusedQkv = tensors.containsKey(p + "attn_qkv.weight");
        List<String> qkv = fusedQkv
                ? List.of(p + "attn_qkv.weight")
                : List.of(p + "attn_q.weight", p + "attn_k.weight", p + "attn_v.weight");
        boolean fusedUp = !tensors.containsKey(p + "ffn_gate.weight");
        List<String> gateUp =
                fusedUp ? List.of(p + "ffn_up.weight") : List.of(p + "ffn_gate.weight", p + "ffn_up.weight");
        String values = fusedQkv ? p + "attn_qkv.weight" : p + "attn_v.weight";
        int firstValue = fusedQkv ? shape.queries() + shape.keys() : 0;
        String attentionNorm = p + "attn_norm.weight";
        if (tensors.containsKey(attentionNorm)) {
            search(qkv, 1, sample, tensors, results, s -> keep(attentionNorm, 0, s, tensors));
        }
        int shared = shape.heads() / shape.kvHeads();
        search(List.of(p + "attn_output.weight"), shared, shape.headDim(), sample, tensors, results, s -> {
            float[] perValue = ofValues(s, shape);
            keep(values, firstValue, perValue, tensors);
            keep(values.replace(".weight", ".bias"), firstValue, perValue, tensors);
        });
        String feedForwardNorm = feedForwardNorm(p, tensors);
        if (tensors.containsKey(feedForwardNorm)) {
            search(gateUp, 1, sample, tensors, results, s -> keep(feedForwardNorm, 0, s, tensors));
        }
        search(
                List.of(p + "ffn_down.weight"),
                1,
                sample,
                tensors,
                results,
                s -> keep(p + "ffn_up.weight", fusedUp ? shape.feedForward() : 0, s, tensors));
        return results;
    }

    /** The norm before a feed-forward layer: in some families it is called one after attention. */
    private static String feedForwardNorm(String p, Map<String, ModelSource.Tensor> tensors) {
        boolean after = tensors.containsKey(p + "ffn_norm.weight") || tensors.containsKey(p + "post_ffw_norm.weight");
        return p + (after ? "ffn_norm.weight" : "post_attention_norm.weight");
    }

    /** Takes factors where a channel is made. */
    @FunctionalInterface
    private interface Maker {
        void divide(float[] factors);
    }

    private void search(
            List<String> matrices,
            int shared,
            ActivationSample sample,
            Map<String, ModelSource.Tensor> tensors,
            List<Runnable> results,
            Maker maker) {
        search(matrices, shared, 1, sample, tensors, results, maker);
    }

    /**
     * Searches one product.
     *
     * @param matrices those that its input meets
     * @param shared heads in a row that share the head their input is made of; 1 where each channel is its own
     * @param headDim channels of a head
     */
    private void search(
            List<String> matrices,
            int shared,
            int headDim,
            ActivationSample sample,
            Map<String, ModelSource.Tensor> tensors,
            List<Runnable> results,
            Maker maker) {
        ActivationSample.Input input = sample.input(matrices.getFirst());
        if (input == null || matrices.stream().anyMatch(name -> !tensors.containsKey(name))) {
            return;
        }
        Best best = best(input, matrices.stream().map(tensors::get).toList(), shared, headDim);
        results.add(() -> {
            choices.add(new Choice(matrices.getFirst(), best.strength, best.rotated, best.before, best.after));
            if (best.rotated) {
                rotated.addAll(matrices);
            }
            if (best.strength > 0) {
                matrices.forEach(name -> columns.put(name, best.factors));
                maker.divide(best.factors);
            }
        });
    }

    private Best best(ActivationSample.Input input, List<ModelSource.Tensor> matrices, int shared, int headDim) {
        int count = input.largest().length;
        float[] weights = new float[count];
        List<float[]> outputs = new ArrayList<>();
        float[] row = new float[count];
        for (ModelSource.Tensor matrix : matrices) {
            long step = Math.max(1, matrix.rows() * matrices.size() / OUTPUTS);
            for (long r = 0; r < matrix.rows(); r++) {
                matrix.read(r, row);
                for (int c = 0; c < count; c++) {
                    weights[c] = Math.max(weights[c], Math.abs(row[c]));
                }
                if (r % step == 0) {
                    outputs.add(row.clone());
                }
            }
        }
        float[] activations = shared(mix.rowScales() ? input.largest() : input.mean(), shared, headDim);
        float[] together = shared(weights, shared, headDim);
        if (!mix.rowScales()) {
            Arrays.fill(together, 1);
        }
        OperandRounding rounding = mix.rowScales()
                ? OperandRounding.ofRows()
                : OperandRounding.ofWeights(WeightMix.fitting(mix.base(), count), input.meanSquares());
        ProductError error = new ProductError(rounding, input.rows(), outputs);
        float[] none = new float[count];
        Arrays.fill(none, 1);
        double before = error.of(none, false);
        Best plain = strongest(error, activations, together, new Best(none, 0, false, before, before));
        if (!mix.rowScales() || WeightMix.fitting(mix.base(), count) != mix.base()) {
            return plain; // also where a row has no whole blocks, and will not be rounded
        }
        Best rotated = strongest(error, activations, together, new Best(none, 0, true, before, error.of(none, true)));
        return rotated.after < worth * plain.after ? rotated : plain;
    }

    /** The strength whose error is the least. */
    private static Best strongest(ProductError error, float[] activations, float[] weights, Best none) {
        Best best = none;
        for (double strength : STRENGTHS) {
            float[] factors = factors(activations, weights, strength);
            double after = error.of(factors, none.rotated);
            if (after < best.after) {
                best = new Best(factors, strength, none.rotated, none.before, after);
            }
        }
        return best;
    }

    /** The largest of the heads that share one, for each of them. */
    private static float[] shared(float[] values, int shared, int headDim) {
        float[] out = values.clone();
        int block = shared * headDim;
        for (int c = 0; shared > 1 && c < out.length; c++) {
            int first = c - c % block + c % headDim;
            for (int head = 0; head < shared; head++) {
                out[c] = Math.max(out[c], values[first + head * headDim]);
            }
        }
        return out;
    }

    private static float[] factors(float[] activations, float[] weights, double strength) {
        double[] exact = new double[activations.length];
        double logs = 0;
        for (int c = 0; c < exact.length; c++) {
            boolean used = activations[c] > 0 && weights[c] > 0;
            exact[c] = used ? Math.pow(activations[c], strength) / Math.pow(weights[c], 1 - strength) : 1;
            logs += used ? Math.log(exact[c]) : 0;
        }
        double mean = Math.exp(logs / exact.length); // so that neither side leaves the range of 16 bits
        float[] factors = new float[exact.length];
        for (int c = 0; c < factors.length; c++) {
            factors[c] = (float) Math.clamp(exact[c] / mean, 1 / MOST_SCALE, MOST_SCALE);
        }
        return factors;
    }

    /** Of each channel of the values, from those of the heads that see it. */
    private static float[] ofValues(float[] factors, ModelShape shape) {
        int shared = shape.heads() / shape.kvHeads();
        float[] values = new float[shape.keys()];
        for (int v = 0; v < values.length; v++) {
            values[v] = factors[v / shape.headDim() * shared * shape.headDim() + v % shape.headDim()];
        }
        return values;
    }

    /** Divides rows of a matrix, or elements of a vector, from {@code first} on, where there is such a tensor. */
    private void keep(String name, int first, float[] factors, Map<String, ModelSource.Tensor> tensors) {
        ModelSource.Tensor tensor = tensors.get(name);
        if (tensor != null) {
            long length = tensor.dimensions().length == 1 ? tensor.columns() : tensor.rows();
            float[] all = new float[Math.toIntExact(length)];
            Arrays.fill(all, 1);
            System.arraycopy(factors, 0, all, first, factors.length);
            rows.put(name, all);
        }
    }

    /** Factors of a matrix's columns, or null. */
    float @Nullable [] columns(String name) {
        return columns.get(name);
    }

    /** Divisors of a matrix's rows, or of a vector's elements, or null. */
    float @Nullable [] rows(String name) {
        return rows.get(name);
    }

    /** Whether a matrix's columns are rotated. */
    boolean rotates(String name) {
        return rotated.contains(name);
    }

    /** {@return what was decided about each product, in the order of the layers} */
    public List<Choice> choices() {
        return List.copyOf(choices);
    }

    void update(MessageDigest digest) {
        for (Map<String, float[]> each : List.of(columns, rows)) {
            each.forEach((name, factors) -> {
                ByteBuffer bytes = ByteBuffer.allocate(factors.length * Float.BYTES);
                bytes.asFloatBuffer().put(factors);
                digest.update(name.getBytes(StandardCharsets.UTF_8));
                digest.update(bytes);
            });
        }
        digest.update(rotated.toString().getBytes(StandardCharsets.UTF_8));
    }
}
