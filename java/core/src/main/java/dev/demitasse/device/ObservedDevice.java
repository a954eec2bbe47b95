package dev.demitasse.device;

import dev.demitasse.device.LinearObserver.Matrix;
import dev.demitasse.kv.KvShape;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.lang.foreign.MemorySegment;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A device that shows the inputs of every {@link #linear} to an observer, before it multiplies. Experts are chosen by
 * the host, which knows their rows.
 */
public final class ObservedDevice implements Device {
    private final Device device;
    private final LinearObserver observer;
    private final IdentityHashMap<LinearWeight, Matrix> matrices = new IdentityHashMap<>();
    private final IdentityHashMap<WeightGroup, List<Matrix>> groups = new IdentityHashMap<>();
    private float[] inputs = new float[0];

    /**
     * A device that shows inputs and leaves the rest to another.
     *
     * @param device does the operations; is closed with this one
     * @param observer sees the inputs
     */
    public ObservedDevice(Device device, LinearObserver observer) {
        this.device = device;
        this.observer = observer;
    }

    @Override
    public LinearWeight upload(MatrixSource source, WeightLayout layout) {
        LinearWeight weight = device.upload(source, layout);
        matrices.put(weight, new Matrix(source.name(), 0, 1));
        return weight;
    }

    @Override
    public void linear(Buffer x, int rows, Projection... projections) {
        Set<@Nullable Matrix> seen = new LinkedHashSet<>(); // rows of one tensor may be several matrices
        for (Projection projection : projections) {
            seen.add(matrices.get(projection.weight()));
        }
        show(x, 0, rows, projections[0].weight().columns(), seen);
        device.linear(x, rows, projections);
    }

    @Override
    public WeightGroup uploadGroup(List<MatrixSource> sources, WeightLayout layout, List<float[]> biases) {
        WeightGroup group = device.uploadGroup(sources, layout, biases);
        int count = sources.size();
        groups.put(
                group,
                IntStream.range(0, count)
                        .mapToObj(g -> new Matrix(sources.get(g).name(), g, count))
                        .toList());
        return group;
    }

    @Override
    public void groupedLinear(Buffer x, int[] starts, GroupedProjection... projections) {
        int columns = projections[0].weights().columns();
        for (int g = 0; g + 1 < starts.length; g++) {
            int rows = starts[g + 1] - starts[g];
            if (rows > 0) {
                Set<@Nullable Matrix> seen = new LinkedHashSet<>();
                for (GroupedProjection projection : projections) {
                    List<Matrix> own = groups.get(projection.weights());
                    seen.add(own == null ? null : own.get(g));
                }
                show(x, starts[g], rows, columns, seen);
            }
        }
        device.groupedLinear(x, starts, projections);
    }

    private void show(Buffer x, int first, int rows, int columns, Set<@Nullable Matrix> seen) {
        if (inputs.length < rows * columns) {
            inputs = new float[rows * columns];
        }
        long bytes = (long) columns * Float.BYTES;
        x.read(first * bytes, MemorySegment.ofArray(inputs).asSlice(0, rows * bytes));
        for (Matrix matrix : seen) {
            if (matrix != null) {
                observer.observe(matrix, inputs, rows, columns);
            }
        }
    }

    @Override
    public String name() {
        return device.name();
    }

    @Override
    public String description() {
        return device.description();
    }

    @Override
    public int threads() {
        return device.threads();
    }

    @Override
    public long freeBytes() {
        return device.freeBytes();
    }

    @Override
    public ActivationType activations() {
        return device.activations();
    }

    @Override
    public Buffer allocate(long bytes) {
        return device.allocate(bytes);
    }

    @Override
    public KvStore allocateKv(KvShape shape) {
        return device.allocateKv(shape);
    }

    @Override
    public TokenBuffer allocateTokens(int capacity) {
        return device.allocateTokens(capacity);
    }

    @Override
    public void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        device.embed(table, ids, rows, scale, out);
    }

    @Override
    public void embed(LinearWeight table, TokenBuffer ids, int rows, float scale, Buffer out) {
        device.embed(table, ids, rows, scale, out);
    }

    @Override
    public void gatherRows(Buffer x, int columns, int[] rows, Buffer out, int first) {
        device.gatherRows(x, columns, rows, out, first);
    }

    @Override
    public void gatherPositions(Buffer table, int columns, BatchRows rows, Buffer out) {
        device.gatherPositions(table, columns, rows, out);
    }

    @Override
    public void rmsNorm(Buffer x, Buffer weight, int groups, int rows, int columns, float epsilon, Buffer out) {
        device.rmsNorm(x, weight, groups, rows, columns, epsilon, out);
    }

    @Override
    public void layerNorm(
            Buffer x, Buffer weight, @Nullable Buffer bias, int rows, int columns, float epsilon, Buffer out) {
        device.layerNorm(x, weight, bias, rows, columns, epsilon, out);
    }

    @Override
    public void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        device.quantizeRows(x, rows, columns, q, scales);
    }

    @Override
    public void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        device.rope(x, rows, heads, headDim, ropeDim, kind, angles);
    }

    @Override
    public void rotate(Buffer x, int rows, int heads, int headDim) {
        device.rotate(x, rows, heads, headDim);
    }

    @Override
    public void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        device.kvAppend(kv, layer, keys, values, rows);
    }

    @Override
    public void attention(
            Buffer q, KvStore kv, int layer, AttentionShape shape, @Nullable Buffer sinks, BatchRows rows, Buffer out) {
        device.attention(q, kv, layer, shape, sinks, rows, out);
    }

    @Override
    public void convolve(
            Buffer x,
            Buffer weight,
            @Nullable Buffer bias,
            int channels,
            int kernel,
            boolean silu,
            Buffer state,
            BatchRows rows,
            Buffer out) {
        device.convolve(x, weight, bias, channels, kernel, silu, state, rows, out);
    }

    @Override
    public void deltaRule(
            Buffer x,
            Buffer b,
            Buffer a,
            Buffer bias,
            Buffer rate,
            DeltaShape shape,
            Buffer state,
            BatchRows rows,
            Buffer out) {
        device.deltaRule(x, b, a, bias, rate, shape, state, rows, out);
    }

    @Override
    public void selectiveScan(
            Buffer x, Buffer steps, ScanWeights weights, ScanShape shape, Buffer state, BatchRows rows, Buffer out) {
        device.selectiveScan(x, steps, weights, shape, state, rows, out);
    }

    @Override
    public void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        device.gatedActivation(gate, g, up, count, out);
    }

    @Override
    public void add(Buffer x, Buffer y, long count) {
        device.add(x, y, count);
    }

    @Override
    public void scale(Buffer x, long count, float factor) {
        device.scale(x, count, factor);
    }

    @Override
    public void softCap(Buffer x, long count, float cap) {
        device.softCap(x, count, cap);
    }

    @Override
    public void sample(Buffer logits, int columns, List<Draw> draws, TokenBuffer out, int first) {
        device.sample(logits, columns, draws, out, first);
    }

    @Override
    public void start() {
        device.start();
    }

    @Override
    public Buffer upload(float[] values) {
        return device.upload(values);
    }

    @Override
    public void discard() {
        device.discard();
    }

    @Override
    public void close() {
        device.close();
    }
}
