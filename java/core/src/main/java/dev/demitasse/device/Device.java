package dev.demitasse.device;

import dev.demitasse.kv.KvShape;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Memory, and the operations that a forward pass is made of. Buffers hold FP32 in row-major order, unless an operation
 * says otherwise.
 *
 * <p>A row's result does not depend on the other rows of the call nor on the number of threads, bit for bit; on a GPU
 * that is so where the device was opened with {@link DeviceOptions#batchInvariant}. A device is
 * used through {@link CheckedDevice} alone ({@link dev.demitasse.Devices#open} wraps every one): that checks all
 * arguments, so a device does not, and runs the operations of several threads one after another. Closing a device does
 * not close what was allocated from it.
 *
 * <p>Operations may be deferred: a device may record them, and run them when a buffer is read or {@link #start} is
 * called.
 *
 * <p><b>NaN.</b> A row with an element that is NaN or infinite gives NaN in all outputs of
 * {@link #linear}, for every layout and activation type. A group of activations whose {@code 127 / max|x|} is beyond
 * FP32 (max|x| below 3.7e-37) counts as zeros.
 */
public interface Device extends AutoCloseable {
    /** {@return the backend's name} */
    String name();

    /** {@return what it runs on, for people: instruction set, threads, card} */
    String description();

    /** {@return threads of a CPU device; 1 for others} */
    int threads();

    /** {@return bytes that are free for weights and caches; an estimate, since others use memory too} */
    default long freeBytes() {
        return HostMemory.availableBytes();
    }

    /** {@return how {@link #linear} takes its input where the weights are integers} */
    ActivationType activations();

    /**
     * {@return zeroed memory}
     *
     * @param bytes length in bytes, 0 or more
     */
    Buffer allocate(long bytes);

    /**
     * Puts a matrix on the device in {@code layout}: exactly where that is its type's own or F32, else by rounding.
     *
     * @param source the matrix; it is not read again afterwards
     * @param layout how it shall lie there
     * @return the matrix on the device
     * @throws dev.demitasse.exception.ModelFormatException where a weight or scale is not finite
     * @throws dev.demitasse.exception.UsageException where a weight is beyond the largest number of a 16-bit layout
     */
    LinearWeight upload(MatrixSource source, WeightLayout layout);

    /**
     * Puts matrices of the same shape on the device, in the layout of each ({@link #upload}).
     *
     * @param sources one a group, at least one
     * @param layout how each shall lie there
     * @param biases one a group, a number a row, added to the results of its group's rows; empty for none
     * @return the matrices on the device, in the order of {@code sources}
     * @throws dev.demitasse.exception.ModelFormatException where a weight or scale is not finite
     * @throws dev.demitasse.exception.UsageException where a weight is beyond the largest number of a 16-bit layout
     */
    default WeightGroup uploadGroup(List<MatrixSource> sources, WeightLayout layout, List<float[]> biases) {
        return MatrixGroup.upload(this, sources, layout, biases);
    }

    /**
     * {@return memory for a key-value cache}
     *
     * @param shape its dimensions, and how it stores elements
     */
    KvStore allocateKv(KvShape shape);

    /**
     * {@return room for {@code capacity} tokens}
     *
     * @param capacity tokens, 1 to 2^24
     */
    default TokenBuffer allocateTokens(int capacity) {
        return new HostTokens(capacity);
    }

    /**
     * {@return room for the choices of up to {@code maximumRows} rows}
     *
     * @param maximumRows rows that are routed together, at least 1; times {@link Routing#used} at most 2^24
     * @param routing how experts are chosen: at most 256 of at most 2048
     */
    default Routes allocateRoutes(int maximumRows, Routing routing) {
        return new HostRoutes(maximumRows, routing);
    }

    /**
     * {@code out[i] = scale * table[ids[i]]} for {@code rows} ids.
     *
     * @param table a row a token
     * @param ids tokens, each the number of a row of {@code table}; at least {@code rows}
     * @param rows how many of {@code ids} count
     * @param scale multiplies the results
     * @param out receives rows × {@code table.columns()}
     */
    void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out);

    /**
     * The same for tokens that {@link #sample} chooses.
     *
     * @param table a row a token; at least as many as there were logits to choose from
     * @param ids tokens, of which the first are taken; {@link Draw#NONE} counts as 0
     * @param rows how many of {@code ids} count
     * @param scale multiplies the results
     * @param out receives rows × {@code table.columns()}
     */
    default void embed(LinearWeight table, TokenBuffer ids, int rows, float scale, Buffer out) {
        int[] known = new int[rows];
        ids.read(known, rows);
        for (int i = 0; i < rows; i++) {
            known[i] = Math.max(0, known[i]);
        }
        embed(table, known, rows, scale, out);
    }

    /**
     * The same for tokens of either kind.
     *
     * @param table a row a token
     * @param ids tokens, at least {@code rows}
     * @param rows how many of {@code ids} count
     * @param scale multiplies the results
     * @param out receives rows × {@code table.columns()}
     */
    default void embed(LinearWeight table, TokenIds ids, int rows, float scale, Buffer out) {
        switch (ids) {
            case TokenIds.Given given -> embed(table, given.ids(), rows, scale, out);
            case TokenIds.Chosen chosen -> embed(table, chosen.tokens(), rows, scale, out);
        }
    }

    /**
     * {@code out[first + i] = x[rows[i]]} for whole rows of {@code columns} elements; {@code out} is not {@code x}.
     *
     * @param x any number of rows × columns
     * @param columns elements of a row, at least 1
     * @param rows which rows of {@code x}, from 0; one may come several times
     * @param out receives a row for each of {@code rows}
     * @param first the row of {@code out} where they begin, from 0
     */
    void gatherRows(Buffer x, int columns, int[] rows, Buffer out, int first);

    /**
     * The same from row 0 of {@code out} on.
     *
     * @param x any number of rows × columns
     * @param columns elements of a row, at least 1
     * @param rows which rows of {@code x}, from 0; one may come several times
     * @param out receives a row for each of {@code rows}
     */
    default void gatherRows(Buffer x, int columns, int[] rows, Buffer out) {
        gatherRows(x, columns, rows, out, 0);
    }

    /**
     * {@code out[i] = table[position of row i]} for whole rows of {@code columns} elements.
     *
     * @param table positions × columns
     * @param columns elements of a row, at least 1
     * @param rows whose positions are rows of {@code table}; their pages do not matter
     * @param out receives rows × columns; not {@code table}
     */
    default void gatherPositions(Buffer table, int columns, BatchRows rows, Buffer out) {
        gatherRows(table, columns, Arrays.copyOf(rows.positions(), rows.count()), out);
    }

    /**
     * Root-mean-square normalization: {@code out = x / sqrt(mean(x^2) + epsilon) * weight} for each of {@code rows}
     * rows of {@code columns}; {@code out} may be {@code x}. A row whose sum of squares is beyond FP32 is NaN.
     *
     * @param x rows × columns
     * @param weight columns
     * @param rows how many rows
     * @param columns elements of a row, at least 1
     * @param epsilon is added to the mean of the squares
     * @param out receives rows × columns
     */
    default void rmsNorm(Buffer x, Buffer weight, int rows, int columns, float epsilon, Buffer out) {
        rmsNorm(x, weight, 1, rows, columns, epsilon, out);
    }

    /**
     * The same with weights of {@code groups} × columns: row r has those of group r mod {@code groups}.
     *
     * @param x rows × columns
     * @param weight groups × columns
     * @param groups how many groups, at least 1
     * @param rows how many rows
     * @param columns elements of a row, at least 1
     * @param epsilon is added to the mean of the squares
     * @param out receives rows × columns; may be {@code x}
     */
    void rmsNorm(Buffer x, Buffer weight, int groups, int rows, int columns, float epsilon, Buffer out);

    /**
     * Layer normalization (Ba, Kiros and Hinton, 2016): {@code out = (x - m) / sqrt(mean((x - m)^2) + epsilon) *
     * weight + bias} with {@code m = mean(x)}, for each of {@code rows} rows of {@code columns}; {@code out} may be
     * {@code x}. A row whose sum or sum of squares is beyond FP32 is NaN.
     *
     * @param x rows × columns
     * @param weight columns
     * @param bias columns, or null for none
     * @param rows how many rows
     * @param columns elements of a row, at least 1
     * @param epsilon is added to the mean of the squares
     * @param out receives rows × columns
     */
    void layerNorm(Buffer x, Buffer weight, @Nullable Buffer bias, int rows, int columns, float epsilon, Buffer out);

    /**
     * Rounds rows to INT8 in groups of 32: {@code scale = max|x| / 127}, {@code q = round(x * (127 / max|x|))}, ties to
     * even, all in FP32. A group of zeros, or of magnitudes so small that {@code 127 / max|x|} is infinite, has
     * integers and scale 0; one with NaN or an infinity has integers 0 and scale NaN.
     *
     * @param x rows × columns
     * @param rows how many rows
     * @param columns elements of a row, a multiple of 32
     * @param q receives rows × columns bytes
     * @param scales receives rows × columns / 32 numbers
     */
    void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales);

    /**
     * Multiplies {@code rows} rows of {@code x}, FP32, by each projection's weight; all weights have the same columns.
     *
     * @param x rows × the weights' columns
     * @param rows how many rows
     * @param projections weights, and where their results go; at least one
     */
    void linear(Buffer x, int rows, Projection... projections);

    /**
     * Multiplies groups of rows, each by matrices of its own (a grouped GEMM): rows {@code starts[g]} to {@code
     * starts[g + 1]} of {@code x} by the g-th matrix of each projection. Results are those of {@link #linear} on the
     * rows of a group alone.
     *
     * @param x rows × columns
     * @param starts of the groups, and the end of the last; the first is 0, and a group may have no rows
     * @param projections matrices, one a group, and where their results go; at least one
     */
    void groupedLinear(Buffer x, int[] starts, GroupedProjection... projections);

    /**
     * Chooses the experts of each row ({@link Routing#choose}). A device may compute scores in FP32, so that of experts
     * whose scores are as near to each other as that rounds either may be chosen.
     *
     * @param logits rows × experts, of the router
     * @param rows how many rows, at most {@link Routes#maximumRows}
     * @param bias experts: added to scores where experts are chosen, and not in their weights; or null
     * @param scales experts: multiply the weights of the chosen; or null, as where {@link Routing#weighsInputs}
     * @param out receives the choice, which is one until what was recorded is dropped, or the pass ends that has it
     */
    default void route(Buffer logits, int rows, @Nullable Buffer bias, @Nullable Buffer scales, Routes out) {
        ((HostRoutes) out).choose(logits, rows, bias, scales);
    }

    /**
     * Gives experts their rows: {@code out[place] = x[row]}, times the weight where {@link Routing#weighsInputs}.
     *
     * @param x rows × columns
     * @param columns elements of a row, at least 1
     * @param routes the experts of each row, as {@link #route} chose them
     * @param out receives places × columns; not {@code x}
     */
    default void dispatch(Buffer x, int columns, Routes routes, Buffer out) {
        ((HostRoutes) routes).dispatch(this, x, columns, out);
    }

    /**
     * Multiplies the places of each expert by its matrices: {@link #groupedLinear(Buffer, int[], GroupedProjection...)}
     * where the groups are those of {@code routes}.
     *
     * @param x places × columns
     * @param routes the experts of each row, as {@link #route} chose them
     * @param projections matrices, one an expert, and where their results go; at least one
     */
    default void groupedLinear(Buffer x, Routes routes, GroupedProjection... projections) {
        groupedLinear(x, ((HostRoutes) routes).starts(), projections);
    }

    /**
     * Adds up what experts have made of a row, in the order of their numbers: {@code out[row] = sum over its places of
     * weight x[place]}, or of {@code x[place]} where {@link Routing#weighsInputs}.
     *
     * @param x places × columns
     * @param columns elements of a row, at least 1
     * @param routes the experts of each row, as {@link #route} chose them
     * @param out receives rows × columns; not {@code x}
     */
    default void combine(Buffer x, int columns, Routes routes, Buffer out) {
        ((HostRoutes) routes).combine(x, columns, out);
    }

    /**
     * Multiplies rows by the logistic function of a logit each: {@code x[row] = x[row] / (1 + exp(-logits[row]))}.
     *
     * @param x rows × columns, in place
     * @param rows how many rows
     * @param columns elements of a row, at least 1
     * @param logits rows; not {@code x}
     */
    default void gateRows(Buffer x, int rows, int columns, Buffer logits) {
        HostRoutes.gate(x, rows, columns, logits);
    }

    /**
     * Rotary position embedding, in place: with c, s the row's angle i, the pair (a, b) becomes (a c - b s, a s + b c).
     *
     * @param x rows × heads × headDim
     * @param rows how many rows
     * @param heads heads of a row
     * @param headDim elements of a head
     * @param ropeDim how many of a head's first elements are rotated: an even number, at least 2
     * @param kind which elements are a pair
     * @param angles rows × ropeDim / 2 × (cosine, sine)
     */
    void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles);

    /**
     * Rotates heads by a Hadamard matrix, in place: of each head, every run of n elements, n the largest power of two
     * that divides {@code headDim}, becomes {@code H x / sqrt(n)} with {@code H[i][k] = (-1)^popcount(i & k)}. The
     * rotation is its own inverse and keeps products of two heads, so that queries and keys may be rotated alike, and
     * values and what attention makes of them; it spreads what sticks out, which few bits would lose (Ashkboos et al.,
     * "QuaRot", 2024).
     *
     * @param x rows × heads × headDim
     * @param rows how many rows
     * @param heads heads of a row
     * @param headDim elements of a head
     */
    void rotate(Buffer x, int rows, int heads, int headDim);

    /**
     * Stores the keys and values of a batch's rows in a layer of the cache.
     *
     * @param kv the cache
     * @param layer which of its layers, from 0
     * @param keys rows × kvHeads × headDim
     * @param values rows × kvHeads × headDim
     * @param rows where the rows stand
     */
    void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows);

    /**
     * Attention of each row over its sequence's cache, itself included; causal where {@link AttentionShape#ahead} is 0:
     * {@code out = softmax(cap(scale q·k)) v}.
     *
     * @param q rows × heads × headDim
     * @param kv the cache; it has the keys and values of {@code rows} already ({@link #kvAppend})
     * @param layer which of its layers, from 0
     * @param shape heads and scale of the layer, and which positions a row sees
     * @param sinks heads: a score each that takes part in the softmax and has no value (attention sinks), or null
     * @param rows where the rows stand
     * @param out receives rows × heads × headDim
     */
    void attention(
            Buffer q, KvStore kv, int layer, AttentionShape shape, @Nullable Buffer sinks, BatchRows rows, Buffer out);

    /**
     * The same without sinks.
     *
     * @param q rows × heads × headDim
     * @param kv the cache; it has the keys and values of {@code rows} already ({@link #kvAppend})
     * @param layer which of its layers, from 0
     * @param shape heads and scale of the layer, and which positions a row sees
     * @param rows where the rows stand
     * @param out receives rows × heads × headDim
     */
    default void attention(Buffer q, KvStore kv, int layer, AttentionShape shape, BatchRows rows, Buffer out) {
        attention(q, kv, layer, shape, null, rows, out);
    }

    /**
     * Causal convolution of each channel over the positions of its sequence, those before the first being zero:
     * {@code out[t][c] = bias[c] + sum over k of weight[k][c] x[t - kernel + 1 + k][c]}, or x / (1 + exp(-x)) of that.
     *
     * @param x rows × channels
     * @param weight kernel × channels
     * @param bias channels, or null for none
     * @param channels columns of {@code x}, 1 to 2^23
     * @param kernel positions that a result is made of, 2 to 16
     * @param silu whether the sum x becomes x / (1 + exp(-x))
     * @param state slots × (kernel - 1) × channels: of each sequence the rows before those to come. The number of a
     *     sequence's first page is its slot; rows go on where its last ones ended, or begin at position 0
     * @param rows where the rows stand; each sequence's are one position after another
     * @param out receives rows × channels; neither {@code x} nor {@code state}
     */
    void convolve(
            Buffer x,
            Buffer weight,
            @Nullable Buffer bias,
            int channels,
            int kernel,
            boolean silu,
            Buffer state,
            BatchRows rows,
            Buffer out);

    /**
     * The gated delta rule (Yang, Kautz and Hatamizadeh, "Gated Delta Networks", 2024). Each head of each sequence has
     * a matrix S, zero before position 0. A row's queries q and keys k are divided by sqrt(sum of squares + epsilon);
     * with {@code beta = sigmoid(b)} and {@code decay = exp(rate ln(1 + exp(a + bias)))} then, in this order:
     * {@code S = decay S}; {@code S += k (beta (v - kᵀ S))}; {@code out = qᵀ S / sqrt(headDim)}.
     *
     * @param x rows × {@link DeltaShape#columns}: queries, keys, values
     * @param b rows × heads
     * @param a rows × heads
     * @param bias heads
     * @param rate heads, below zero
     * @param shape heads and elements of the layer
     * @param state slots × heads × headDim × headDim, where columns are elements of values; slots as in
     *     {@link #convolve}
     * @param rows where the rows stand; each sequence's are one position after another
     * @param out receives rows × heads × headDim; none of the others
     */
    void deltaRule(
            Buffer x,
            Buffer b,
            Buffer a,
            Buffer bias,
            Buffer rate,
            DeltaShape shape,
            Buffer state,
            BatchRows rows,
            Buffer out);

    /**
     * The selective state space of Mamba 2 (Dao and Gu, "Transformers are SSMs", 2024). Each head of each sequence has
     * a matrix S, zero before position 0. With {@code t = ln(1 + exp(steps + bias))}, and B and C those of the head's
     * group: {@code S = exp(rate t) S + B (t x)ᵀ}; {@code out = Cᵀ S + skip x}.
     *
     * @param x rows × {@link ScanShape#columns}: values of heads, then B and C of groups
     * @param steps rows × heads
     * @param weights what each head has
     * @param shape groups, heads and elements of the layer
     * @param state slots × heads × stateDim × headDim, where columns are elements of values; slots as in
     *     {@link #convolve}
     * @param rows where the rows stand; each sequence's are one position after another
     * @param out receives rows × heads × headDim; none of the others
     */
    void selectiveScan(
            Buffer x, Buffer steps, ScanWeights weights, ScanShape shape, Buffer state, BatchRows rows, Buffer out);

    /**
     * {@code out = gate(g) * up}, {@code count} elements; {@code out} may be either input.
     *
     * @param gate the function
     * @param g what the function is taken of
     * @param up what is multiplied
     * @param count elements
     * @param out receives {@code count} elements
     */
    void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out);

    /**
     * {@code x += y}, {@code count} elements.
     *
     * @param x summand and sum
     * @param y what is added
     * @param count elements
     */
    void add(Buffer x, Buffer y, long count);

    /**
     * {@code x = factor x}, {@code count} elements.
     *
     * @param x what is multiplied, in place
     * @param count elements
     * @param factor multiplies each
     */
    void scale(Buffer x, long count, float factor);

    /**
     * {@code x = cap tanh(x / cap)}, {@code count} elements.
     *
     * @param x what is capped, in place
     * @param count elements
     * @param cap what no magnitude exceeds, above 0
     */
    void softCap(Buffer x, long count, float cap);

    /**
     * Chooses a token for each row of logits. A device may round weights to FP32, so that a random point within 1e-6 of
     * the border of two tokens' intervals may fall to either.
     *
     * @param logits rows × columns
     * @param columns tokens to choose from, at least 1
     * @param draws one a row, at least one
     * @param out receives one token a row, from its token {@code first} on
     * @param first the place of the first of them in {@code out}, from 0
     */
    default void sample(Buffer logits, int columns, List<Draw> draws, TokenBuffer out, int first) {
        float[] row = new float[columns];
        for (int r = 0; r < draws.size(); r++) {
            logits.read((long) r * columns * Float.BYTES, MemorySegment.ofArray(row));
            ((HostTokens) out).set(first + r, draws.get(r).choose(row));
        }
    }

    /**
     * Chooses tokens, and waits for them.
     *
     * @param logits rows × columns
     * @param columns tokens to choose from, at least 1
     * @param draws one a row, at least one
     * @param out receives one token a row; {@link Draw#NONE} where no logit of it is a number
     */
    default void sample(Buffer logits, int columns, List<Draw> draws, int[] out) {
        try (TokenBuffer tokens = allocateTokens(draws.size())) {
            sample(logits, columns, draws, tokens, 0);
            tokens.read(out, draws.size());
        }
    }

    /**
     * Does what {@link Pass#operations} does, or what it did before with other ids and rows.
     *
     * @param pass the operations
     * @param ids the token of each row
     * @param rows where the rows stand
     */
    default void run(Pass pass, TokenIds ids, BatchRows rows) {
        pass.operations(ids, rows);
    }

    /**
     * {@return whether operations are deferred and run beside the host, so that recording the next step meanwhile pays}
     */
    default boolean runsAhead() {
        return false;
    }

    /** Starts what was recorded, and waits for nothing. */
    default void start() {}

    /**
     * {@return a buffer that holds {@code values}; of length 0 where there are none}
     *
     * @param values what is copied to the device
     */
    default Buffer upload(float[] values) {
        Buffer buffer = allocate((long) values.length * Float.BYTES);
        buffer.write(0, MemorySegment.ofArray(values));
        return buffer;
    }

    /**
     * Drops what was recorded and not run; called after an operation has failed half-way, for lack of memory or by an
     * error of the hardware.
     */
    default void discard() {}

    @Override
    void close();
}
