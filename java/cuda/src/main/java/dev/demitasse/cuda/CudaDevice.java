package dev.demitasse.cuda;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The operations of {@link Device} as kernel launches: one is recorded when it is called, and runs, with all that were called before,
 * when a buffer is read.
 */
final class CudaDevice implements Device {
    private static final int THREADS = 256;
    private static final int MOST_BLOCKS = 65535; // along the second dimension of a launch
    private static final int SAMPLE_THREADS = 512;
    /** Columns whose weights, multiples of 2^-40, have a sum of 64 bits. */
    private static final int SAMPLE_COLUMNS = 1 << 18;

    private final ActivationType activations;
    private final Driver.Gpu gpu;
    private final CudaContext context;
    private final KernelModules kernels;
    private final LaunchList launches;
    private final LinearLaunches linear;
    private final AttentionLaunches attention;
    private final Workspace results;

    CudaDevice(DeviceOptions options, Driver.Gpu gpu) {
        ActivationType wanted = options.activations();
        this.activations = wanted == null ? ActivationType.INT8 : wanted;
        this.gpu = gpu;
        boolean wgmma = TensorCores.of(options.instructionSet(), gpu) == TensorCores.WGMMA;
        this.context = new CudaContext(gpu);
        try {
            this.kernels = new KernelModules(wgmma);
            this.launches = new LaunchList(context, kernels);
        } catch (RuntimeException | Error e) {
            context.close();
            throw e;
        }
        this.linear = new LinearLaunches(
                context,
                launches,
                new LinearLaunches.Choice(activations, gpu.multiprocessors(), wgmma, options.batchInvariant()));
        this.attention = new AttentionLaunches(context, launches, options.batchInvariant());
        this.results = new Workspace(context, launches);
    }

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public String description() {
        return gpu.toString();
    }

    @Override
    public int threads() {
        return 1;
    }

    @Override
    public ActivationType activations() {
        return activations;
    }

    /** How many steps were replayed as graphs, for tests. */
    int replays() {
        return launches.replays();
    }

    /** How many kernels were started, for tests. */
    int started() {
        return launches.started();
    }

    @Override
    public Buffer allocate(long bytes) {
        return new CudaBuffer(new CudaMemory(bytes, context, launches, CudaContext.Purpose.BUFFERS), launches);
    }

    @Override
    public LinearWeight upload(MatrixSource source, WeightLayout layout) {
        return CudaWeight.upload(source, layout, activations == ActivationType.INT8_ROW, context, launches);
    }

    @Override
    public KvStore allocateKv(KvShape shape) {
        return new CudaKvStore(shape, context, launches);
    }

    private static long address(Buffer buffer) {
        return ((CudaBuffer) buffer).address();
    }

    /** One thread an element. */
    private void elements(String kernel, long count, long... arguments) {
        context.requireUsable();
        launches.add(kernel, Math.toIntExact((count + THREADS - 1) / THREADS), 1, 1, THREADS, 0, arguments);
    }

    /** One block a row. */
    private void rows(String kernel, int rows, long... arguments) {
        context.requireUsable();
        launches.add(kernel, rows, 1, 1, THREADS, 0, arguments);
    }

    private static long bits(float value) {
        return Float.floatToRawIntBits(value) & 0xFFFFFFFFL;
    }

    @Override
    public void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        CudaWeight weight = (CudaWeight) table;
        long target = address(out);
        rows(
                "embed",
                rows,
                weight.layout().element().ordinal(),
                weight.elements(),
                weight.scales(),
                weight.mins(),
                weight.stride(),
                weight.tiles(),
                weight.part(),
                weight.halfScales(),
                weight.columns(),
                launches.put(ids, rows, rows),
                bits(scale),
                target);
    }

    @Override
    public void gatherRows(Buffer x, int columns, int[] rows, Buffer out) {
        long source = address(x);
        long target = address(out);
        long ids = launches.put(rows, rows.length, rows.length);
        rows("gather_rows", rows.length, source, columns, ids, target);
    }

    @Override
    public void rmsNorm(Buffer x, Buffer weight, int rows, int columns, float epsilon, Buffer out) {
        long count = (long) rows * columns;
        context.requireUsable();
        long in = address(x);
        long scale = address(weight);
        long result = address(out);
        long addend = takeAddition(in, count);
        long[] arguments = {in, scale, columns, bits(epsilon), result, addend == 0 ? 0 : in, addend};
        launches.add(norm(
                rows,
                columns,
                QuantizedRows.NOWHERE.after(arguments),
                (from, wanted, width, to) -> from == result && wanted == rows && width == columns
                        ? norm(rows, columns, to.after(arguments), null)
                        : null));
    }

    /** The address of what was to be added to {@code count} numbers at {@code x} just before, which is taken over; 0 if nothing was. */
    private long takeAddition(long x, long count) {
        LaunchList.Launch add = launches.last(0, "add");
        if (add == null || add.arguments()[0] != x || add.arguments()[2] != count) {
            return 0;
        }
        launches.removeLast(1);
        return add.arguments()[1];
    }

    private static LaunchList.Launch norm(
            int rows, int columns, long[] arguments, LaunchList.@Nullable Quantising quantising) {
        return new LaunchList.Launch("rms_norm", rows, 1, 1, columns > 1024 ? 1024 : THREADS, 0, arguments, quantising);
    }

    @Override
    public void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        long[] arguments = QuantizedRows.NOWHERE.after(address(x), columns, address(q), address(scales));
        rows("quantize_rows", rows, arguments);
    }

    @Override
    public void linear(Buffer x, int rows, Projection... projections) {
        context.requireUsable();
        linear.add(x, rows, projections);
    }

    @Override
    public void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        elements(
                "rope",
                (long) rows * heads * (ropeDim / 2),
                address(x),
                rows,
                heads,
                headDim,
                ropeDim,
                kind == Rope.NEIGHBOURS ? 1 : 0,
                address(angles));
    }

    @Override
    public void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        CudaKvStore store = (CudaKvStore) kv;
        context.requireUsable();
        attention.append(store, layer, address(keys), address(values), rows);
    }

    @Override
    public void attention(Buffer q, KvStore kv, int layer, AttentionShape shape, BatchRows rows, Buffer out) {
        CudaKvStore store = (CudaKvStore) kv;
        context.requireUsable();
        attention.attend(store, layer, shape, address(q), address(out), rows);
    }

    @Override
    public void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        context.requireUsable();
        long[] inputs = {gate == Gate.GELU ? 1 : 0, address(g), address(up)};
        long result = address(out);
        launches.add(gated(
                inputs,
                count,
                1,
                result,
                QuantizedRows.NOWHERE,
                (x, rows, columns, to) ->
                        x == result && (long) rows * columns == count && !to.wholeRows() && rows <= MOST_BLOCKS
                                ? gated(inputs, columns, rows, result, to, null)
                                : null));
    }

    private static LaunchList.Launch gated(
            long[] inputs,
            long columns,
            int rows,
            long out,
            QuantizedRows to,
            LaunchList.@Nullable Quantising quantising) {
        long[] arguments = to.after(inputs[0], inputs[1], inputs[2], columns, out);
        int blocks = LinearLaunches.pieces(Math.max(columns, to.padded()), THREADS);
        return new LaunchList.Launch("gated_activation", blocks, rows, 1, THREADS, 0, arguments, quantising);
    }

    @Override
    public void add(Buffer x, Buffer y, long count) {
        elements("add", count, address(x), address(y), count);
    }

    @Override
    public void softCap(Buffer x, long count, float cap) {
        elements("soft_cap", count, address(x), count, bits(cap));
    }

    @Override
    public void sample(Buffer logits, int columns, List<Draw> draws, int[] out) {
        int rows = draws.size();
        if (columns > SAMPLE_COLUMNS) {
            throw new UsageException(
                    "cuda: sample takes rows of 1 to " + SAMPLE_COLUMNS + " columns, not " + columns + ".");
        }
        long from = address(logits);
        CudaMemory tokens = results.memory(rows * 4L);
        int[] words = draws.stream().flatMapToInt(CudaDevice::words).toArray();
        long parameters = launches.put(words, words.length, words.length);
        launches.add("sample", rows, 1, 1, SAMPLE_THREADS, 0, from, columns, parameters, tokens.address());
        tokens.read(0, MemorySegment.ofArray(out).asSlice(0, rows * 4L));
    }

    /** A {@code SampleRow}. */
    private static IntStream words(Draw draw) {
        return IntStream.of(
                Float.floatToRawIntBits(draw.temperature()),
                Float.floatToRawIntBits(draw.topP()),
                Float.floatToRawIntBits(draw.minP()),
                draw.topK(),
                (int) draw.seed(),
                (int) (draw.seed() >>> 32),
                (int) draw.number(),
                (int) (draw.number() >>> 32));
    }

    @Override
    public void discard() {
        launches.discard();
    }

    @Override
    public void close() {
        try {
            linear.close();
            attention.close();
            results.close();
            launches.close();
            if (context.usable()) {
                kernels.close();
            }
        } finally {
            context.close(); // also where waiting for the last kernels reports their failure
        }
    }
}
