package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.WIDTH;
import static dev.demitasse.vector.Lanes.floats;
import static dev.demitasse.vector.Lanes.store;

import dev.demitasse.cpu.Cores;
import dev.demitasse.cpu.HostBuffer;
import dev.demitasse.cpu.HostWeight;
import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.MatrixGroup;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.device.ScanShape;
import dev.demitasse.device.ScanWeights;
import dev.demitasse.kv.KvShape;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** The operations of {@link Device} over the Vector API: checks the buffers, then hands addresses to the kernels. */
final class VectorDevice implements Device {
    /** Elements below which an operation is not worth waking other threads for. */
    private static final long SERIAL = 8_192;

    private final ActivationType activations;
    private final WorkerPool pool;
    private final LinearKernels linear;
    private final AttentionKernels attention;
    private final HostMemory scratch;

    VectorDevice(DeviceOptions options) {
        ActivationType wanted = options.activations();
        activations = wanted == null ? ActivationType.INT8 : wanted;
        int threads = options.threads() > 0 ? options.threads() : Cores.physical();
        pool = new WorkerPool(threads);
        linear = new LinearKernels(pool, activations);
        attention = new AttentionKernels(pool);
        scratch = HostMemory.allocate(4096);
    }

    @Override
    public String name() {
        return "vector";
    }

    @Override
    public String description() {
        return Lanes.describe() + ", " + pool.size() + " threads";
    }

    @Override
    public int threads() {
        return pool.size();
    }

    @Override
    public ActivationType activations() {
        return activations;
    }

    @Override
    public Buffer allocate(long bytes) {
        return new HostBuffer(bytes);
    }

    @Override
    public LinearWeight upload(MatrixSource source, WeightLayout layout) {
        return new HostWeight(PackedMatrix.packLevels(source, layout));
    }

    @Override
    public KvStore allocateKv(KvShape shape) {
        return new VectorKvStore(shape);
    }

    private static long address(Buffer buffer) {
        return ((HostBuffer) buffer).address();
    }

    /** Runs {@code body} over {@code [0, count)} in blocks, on one thread where that is little. */
    private void blocks(long count, long perElement, BlockBody body) {
        long block = Math.max(1, SERIAL / 2 / perElement);
        int tasks = count * perElement <= SERIAL ? 1 : (int) ((count + block - 1) / block);
        long size = tasks == 1 ? count : block;
        pool.run(tasks, (task, worker) -> body.run(task * size, Math.min(count, (task + 1) * size)));
    }

    private interface BlockBody {
        void run(long from, long to);
    }

    @Override
    public void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        PackedMatrix matrix = HostWeight.matrixOf(table);
        int columns = matrix.columns();
        HostBuffer target = ((HostBuffer) out);
        blocks(rows, columns * 8L, (from, to) -> {
            float[] row = new float[columns];
            for (int i = (int) from; i < to; i++) {
                matrix.unpackRow(ids[i], row);
                for (int c = 0; c < columns; c++) {
                    row[c] *= scale;
                }
                target.write((long) i * columns * 4, MemorySegment.ofArray(row));
            }
        });
    }

    @Override
    public void gatherRows(Buffer x, int columns, int[] rows, Buffer out, int first) {
        long bytes = columns * 4L;
        long target = address(out);
        for (int i = 0; i < rows.length; i++) {
            long source = address(x) + rows[i] * bytes;
            MemorySegment.copy(Lanes.MEMORY, source, Lanes.MEMORY, target + (first + i) * bytes, bytes);
        }
    }

    @Override
    public void rmsNorm(Buffer x, Buffer weight, int groups, int rows, int columns, float epsilon, Buffer out) {
        long in = address(x);
        long w = address(weight);
        long target = address(out);
        blocks(rows, columns, (from, to) -> {
            for (long row = from; row < to; row++) {
                long own = w + row % groups * columns * 4;
                RmsNorm.row(in + row * columns * 4, own, columns, epsilon, target + row * columns * 4);
            }
        });
    }

    @Override
    public void layerNorm(
            Buffer x, Buffer weight, @Nullable Buffer bias, int rows, int columns, float epsilon, Buffer out) {
        long in = address(x);
        long w = address(weight);
        long shift = bias == null ? 0 : address(bias);
        long target = address(out);
        blocks(rows, columns, (from, to) -> {
            for (long row = from; row < to; row++) {
                LayerNorm.row(in + row * columns * 4, w, shift, columns, epsilon, target + row * columns * 4);
            }
        });
    }

    @Override
    public void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        long in = address(x);
        long bytes = ((HostBuffer) q).address();
        long groupScales = address(scales);
        for (long row = 0; row < rows; row++) {
            QuantizeRows.bytes(
                    in + row * columns * 4,
                    columns,
                    bytes + row * columns,
                    groupScales + row * columns / 8,
                    scratch.address());
        }
    }

    @Override
    public void linear(Buffer x, int rows, Projection... projections) {
        linear.linear(x, 0, rows, projections);
    }

    @Override
    public void groupedLinear(Buffer x, int[] starts, GroupedProjection... projections) {
        for (int g = 0; g + 1 < starts.length; g++) {
            if (starts[g] < starts[g + 1]) {
                int rows = starts[g + 1] - starts[g];
                linear.linear(x, starts[g], rows, MatrixGroup.projections(g, projections));
            }
        }
    }

    @Override
    public void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        long values = address(x);
        long table = address(angles);
        blocks(rows, (long) heads * headDim, (from, to) -> {
            for (long row = from; row < to; row++) {
                for (int head = 0; head < heads; head++) {
                    ropeHead(values + (row * heads + head) * headDim * 4, ropeDim, kind, table + row * ropeDim * 4);
                }
            }
        });
    }

    private static void ropeHead(long head, int ropeDim, Rope kind, long table) {
        int pairs = ropeDim / 2;
        long step = kind == Rope.INTERLEAVED ? 8 : 4;
        long distance = kind == Rope.INTERLEAVED ? 4 : pairs * 4L;
        for (int i = 0; i < pairs; i++) {
            float cosine = Lanes.get(table + i * 8L);
            float sine = Lanes.get(table + i * 8L + 4);
            long at = head + i * step;
            float a = Lanes.get(at);
            float b = Lanes.get(at + distance);
            Lanes.set(at, a * cosine - b * sine);
            Lanes.set(at + distance, a * sine + b * cosine);
        }
    }

    @Override
    public void rotate(Buffer x, int rows, int heads, int headDim) {
        long values = address(x);
        int n = Integer.lowestOneBit(headDim);
        long runs = (long) rows * heads * headDim / n;
        blocks(runs, n, (from, to) -> {
            float[] run = new float[n];
            for (long i = from; i < to; i++) {
                Rotation.rotate(values + i * n * 4, run);
            }
        });
    }

    @Override
    public void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        VectorKvStore store = (VectorKvStore) kv;
        attention.append(store, layer, address(keys), address(values), rows);
    }

    @Override
    public void attention(
            Buffer q, KvStore kv, int layer, AttentionShape shape, @Nullable Buffer sinks, BatchRows rows, Buffer out) {
        long logits = sinks == null ? 0 : address(sinks);
        attention.attention(address(q), (VectorKvStore) kv, layer, shape, logits, rows, address(out));
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
        long shift = bias == null ? 0 : address(bias);
        Convolution convolution = new Convolution(
                address(x), address(weight), shift, channels, kernel, silu, address(state), rows, address(out));
        blocks(channels, (long) rows.count() * kernel, convolution::block);
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
        DeltaRule rule = new DeltaRule(
                address(x),
                address(b),
                address(a),
                address(bias),
                address(rate),
                shape,
                address(state),
                rows,
                address(out));
        blocks(shape.heads(), (long) rows.count() * shape.headDim() * shape.headDim(), rule::block);
    }

    @Override
    public void selectiveScan(
            Buffer x, Buffer steps, ScanWeights weights, ScanShape shape, Buffer state, BatchRows rows, Buffer out) {
        SelectiveScan scan = new SelectiveScan(
                address(x),
                address(steps),
                address(weights.bias()),
                address(weights.rate()),
                address(weights.skip()),
                shape,
                address(state),
                rows,
                address(out));
        blocks(shape.heads(), (long) rows.count() * shape.headDim() * shape.stateDim(), scan::block);
    }

    @Override
    public void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        long gates = address(g);
        long ups = address(up);
        long target = address(out);
        blocks(count, 4, (from, to) -> GatedActivation.block(gate, gates, ups, from, to, target));
    }

    @Override
    public void add(Buffer x, Buffer y, long count) {
        long target = address(x);
        long addend = address(y);
        blocks(count, 1, (from, to) -> {
            long i = from;
            for (; i + WIDTH <= to; i += WIDTH) {
                store(floats(target + i * 4).add(floats(addend + i * 4)), target + i * 4);
            }
            for (; i < to; i++) {
                Lanes.set(target + i * 4, Lanes.get(target + i * 4) + Lanes.get(addend + i * 4));
            }
        });
    }

    @Override
    public void scale(Buffer x, long count, float factor) {
        long values = address(x);
        blocks(count, 1, (from, to) -> {
            long i = from;
            for (; i + WIDTH <= to; i += WIDTH) {
                store(floats(values + i * 4).mul(factor), values + i * 4);
            }
            for (; i < to; i++) {
                Lanes.set(values + i * 4, Lanes.get(values + i * 4) * factor);
            }
        });
    }

    @Override
    public void softCap(Buffer x, long count, float cap) {
        long values = address(x);
        blocks(count, 4, (from, to) -> {
            long i = from;
            for (; i + WIDTH <= to; i += WIDTH) {
                store(Exp.tanh(floats(values + i * 4).div(cap)).mul(cap), values + i * 4);
            }
            for (; i < to; i++) {
                long at = values + i * 4;
                Lanes.set(at, Exp.tanh(floats(Lanes.get(at) / cap)).mul(cap).lane(0));
            }
        });
    }

    @Override
    public void close() {
        pool.close();
        linear.close();
        attention.close();
        scratch.close();
    }
}
