package dev.demitasse.gpu;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Gate;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Routing;
import dev.demitasse.device.ScanShape;
import dev.demitasse.device.WeightGroup;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * An operation that waits to be run, with all that decides how it runs: two equal steps do the same work on the same
 * memory. Numbers of type {@code long} without a unit are addresses of device memory. What a step can do while it is at
 * it, and {@link Fusions} asks of it, is in its nullable fields.
 */
public sealed interface Step {
    /** {@code out[i] = scale * table[ids[i]]}. */
    record Embed(LinearWeight table, long ids, int rows, float scale, long out) implements Step {}

    /** {@code out[i] = x[ids[i]]}, rows of {@code columns}. */
    record GatherRows(long x, int columns, long ids, int rows, long out) implements Step {}

    /** {@code x += y}. */
    record Add(long x, long y, long count) implements Step {}

    /** {@code x = factor x}. */
    record Scale(long x, long count, float factor) implements Step {}

    /** {@code x = cap tanh(x / cap)}. */
    record SoftCap(long x, long count, float cap) implements Step {}

    /** Rows of {@code x} to integers and scales in the order of rows: the operation {@code quantizeRows}. */
    record QuantizeRows(long x, int rows, int columns, long q, long scales) implements Step {}

    /**
     * Rows of {@code x} to integers in tiles, in the device's memory for that, where the next {@link Linear} or
     * {@link GroupedLinear} finds them.
     *
     * @param padded columns with those that fill the last tile
     * @param perRow whether a row has one scale, instead of one for 32 columns
     */
    record Quantize(long x, int rows, int columns, int padded, boolean perRow) implements Step {}

    /**
     * {@code out = x / sqrt(mean(x^2) + epsilon) * weight}.
     *
     * @param groups rows of weights: a row of x has those of its number modulo them
     * @param addend is added to x before, or 0
     * @param quantize is done with what was written, or null
     */
    record RmsNorm(
            long x,
            long weight,
            int groups,
            int rows,
            int columns,
            float epsilon,
            long out,
            long addend,
            @Nullable Quantize quantize)
            implements Step {}

    /** {@code out = (x - mean) / sqrt(variance + epsilon) * weight + bias}, where bias may be 0 for none. */
    record LayerNorm(long x, long weight, long bias, int rows, int columns, float epsilon, long out) implements Step {}

    /**
     * {@code out = gate(g) * up}.
     *
     * @param quantize is done with what was written, or null
     */
    record GatedActivation(
            Gate gate,
            long g,
            long up,
            long count,
            long out,
            @Nullable Quantize quantize) implements Step {}

    /** A matrix of a {@link Linear} with its bias, or 0. */
    record Product(LinearWeight weight, long bias, long out, OutputType type) {}

    /**
     * Rows of {@code x} times matrices.
     *
     * @param integers whether activations are what {@link Quantize} left, else FP32
     */
    record Linear(long x, int rows, boolean integers, List<Product> products) implements Step {}

    /**
     * Tiles of rows of groups in device memory ({@link GroupTiles}).
     *
     * @param address of the list
     * @param tiles how long they are
     * @param count of them, those without rows included
     * @param fewest of them that have rows
     * @param rows of all groups
     * @param places that rows take, with those that lie between groups
     */
    record TileList(long address, GroupTiles tiles, int count, int fewest, int rows, int places) {}

    /**
     * A matrix of each group of a {@link GroupedLinear}.
     *
     * @param weights a {@link GpuWeightGroup}
     */
    record GroupedProduct(WeightGroup weights, long out) {}

    /**
     * Rows of {@code x} times the matrices of their groups.
     *
     * @param integers whether activations are what {@link Quantize} left, else FP32
     */
    record GroupedLinear(long x, TileList list, boolean integers, List<GroupedProduct> products) implements Step {}

    /**
     * Where the choice of experts lies, of {@code rows} rows; and in which order their places are.
     *
     * @param ids rows × used: experts
     * @param weights rows × used
     * @param places rows × used: where they lie
     * @param placeRows of places: their rows
     * @param placeWeights of places: what multiplies what experts are given
     * @param list of the experts' tiles
     */
    record Choice(
            Routing routing,
            int rows,
            long ids,
            long weights,
            long places,
            long placeRows,
            long placeWeights,
            TileList list) {}

    /** Chooses experts by logits; {@code bias} and {@code scales} are one an expert, or 0. */
    record Route(long logits, long bias, long scales, Choice choice) implements Step {}

    /**
     * {@code out[place] = x[row]}, times the weight where weights multiply inputs.
     *
     * @param quantize is done with what was written, or null
     */
    record Dispatch(
            long x,
            int columns,
            Choice choice,
            long out,
            @Nullable Quantize quantize) implements Step {}

    /**
     * {@code out[row] = sum of weight x[place]}, or of x[place] where weights multiply inputs; then it is added to
     * the addend.
     *
     * @param addend as many rows as out, or 0
     * @param logits of the addend's rows, which are multiplied by the logistic function of them before; or 0
     */
    record Combine(long x, int columns, Choice choice, long out, long addend, long logits) implements Step {}

    /** {@code x[row] = x[row] / (1 + exp(-logits[row]))}. */
    record GateRows(long x, int rows, int columns, long logits) implements Step {}

    /** Rotary position embedding of rows × heads × headDim, in place. */
    record Rope(long x, int rows, int heads, int headDim, int ropeDim, boolean interleaved, long angles)
            implements Step {}

    /**
     * Rotation of the heads of rows × heads × headDim by a Hadamard matrix, in place.
     *
     * @param quantize is done with what was written, or null
     */
    record Rotate(
            long x,
            int rows,
            int heads,
            int headDim,
            @Nullable Quantize quantize) implements Step {}

    /**
     * Stores keys and values in a layer of the cache.
     *
     * @param keyRope is done with the keys before, or null
     * @param queryRope is done with queries of the same rows beside it, or null; only where there is a {@code keyRope}
     * @param rotates whether keys, values and those queries are rotated after that; only where there is a {@code
     *     queryRope}
     */
    record KvAppend(
            KvStore store,
            int layer,
            long keys,
            long values,
            BatchTables.Rows rows,
            @Nullable Rope keyRope,
            @Nullable Rope queryRope,
            boolean rotates)
            implements Step {}

    /**
     * Attention of a batch's rows.
     *
     * @param sinks a score a head that has no value, or 0
     * @param plan which rows are taken how
     * @param quantize is done with what was written, or null
     */
    record Attention(
            KvStore store,
            int layer,
            AttentionShape shape,
            long sinks,
            long q,
            long out,
            BatchTables.Rows rows,
            AttentionPlan plan,
            @Nullable Quantize quantize)
            implements Step {}

    /** Causal convolution of channels, with a state for each sequence; {@code bias} may be 0 for none. */
    record Convolve(
            long x,
            long weight,
            long bias,
            int channels,
            int kernel,
            boolean silu,
            long state,
            BatchTables.Rows rows,
            long out)
            implements Step {}

    /** The gated delta rule, with a state for each sequence. */
    record DeltaRule(
            long x, long b, long a, long bias, long rate, DeltaShape shape, long state, BatchTables.Rows rows, long out)
            implements Step {}

    /** The selective state space of Mamba 2, with a state for each sequence. */
    record SelectiveScan(
            long x,
            long steps,
            long bias,
            long rate,
            long skip,
            ScanShape shape,
            long state,
            BatchTables.Rows rows,
            long out)
            implements Step {}

    /**
     * Chooses a token for each row of logits; {@code draws} are the rows' parameters.
     *
     * @param host an address of host memory that gets the tokens too
     */
    record Sample(long logits, int columns, int rows, long draws, long out, long host) implements Step {}

    /** {@code bytes} of the step's data, which lie at {@code from}, to {@code to}. */
    record Copy(long to, long from, int bytes) implements Step {}
}
