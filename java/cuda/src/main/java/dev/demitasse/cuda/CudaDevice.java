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
import dev.demitasse.device.Pass;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.device.TokenBuffer;
import dev.demitasse.device.TokenIds;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gpu.AttentionPlan;
import dev.demitasse.gpu.MemoryLedger;
import dev.demitasse.gpu.Step;
import dev.demitasse.gpu.StepList;
import dev.demitasse.kv.KvShape;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.util.ArrayList;
import java.util.List;

/**
 * The operations of {@link Device} as kernel launches: one is recorded when it is called, and is launched, with all
 * that were called before, by {@link #start} or when a buffer or tokens are read.
 */
final class CudaDevice implements Device {
    private static final System.Logger LOG = System.getLogger(CudaDevice.class.getName());

    private final ActivationType activations;
    private final Driver.Gpu gpu;
    private final CudaContext context;
    private final KernelModules kernels;
    private final StepLaunches launches;
    private final GraphRunner runner;
    private final StepList steps;
    private final AttentionPlan.Limits attentionLimits;

    /** The device of a GPU, which goes by what was measured of kernels. */
    CudaDevice(DeviceOptions options, Driver.Gpu gpu, KernelChoice choice) {
        ActivationType wanted = options.activations();
        this.activations = wanted == null ? ActivationType.INT8 : wanted;
        this.gpu = gpu;
        boolean wgmma = TensorCores.of(options.instructionSet(), gpu) == TensorCores.WGMMA;
        this.context = new CudaContext(gpu);
        KernelTable.Settings settings = new KernelTable.Settings(
                activations, gpu.multiprocessors(), gpu.number(), wgmma, options.batchInvariant(), choice);
        try {
            this.kernels = new KernelModules(wgmma);
            this.launches = new StepLaunches(context, kernels, settings);
            this.runner = new GraphRunner(context, kernels, launches, gpu.overlapsKernels());
        } catch (RuntimeException | Error e) {
            context.close();
            throw e;
        }
        this.steps = runner.steps();
        if (LOG.isLoggable(System.Logger.Level.DEBUG)) {
            KernelTable.describe(settings, false).forEach(line -> LOG.log(System.Logger.Level.DEBUG, line));
        }
        this.attentionLimits = AttentionLaunches.limits(options.batchInvariant());
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

    /** What decides how a matrix is multiplied. */
    KernelTable.Multiplication multiplication(CudaWeight weight, int rows) {
        return launches.multiplication(weight, rows);
    }

    /** Has all that is recorded from now on be looked at again, since kernels are chosen in another way. */
    void forgetLaunches() {
        steps.forget();
        runner.forgetGraphs();
    }

    /** Microseconds on the GPU of operations that were run before, as a graph from the second call on. */
    double microseconds(Runnable operations) {
        runner.synchronize();
        operations.run();
        return runner.microseconds();
    }

    /** How many steps were replayed as graphs, for tests. */
    int replays() {
        return runner.replays();
    }

    /** How many passes were not recorded again, for tests. */
    int replayedPasses() {
        return steps.replayedPasses();
    }

    /** How many kernels were started, for tests. */
    int started() {
        return runner.started();
    }

    /** What was recorded and not run yet, for tests. */
    List<Step> waiting() {
        return steps.waiting();
    }

    @Override
    public Buffer allocate(long bytes) {
        return new CudaBuffer(new CudaMemory(bytes, context, runner, MemoryLedger.Purpose.BUFFERS), runner);
    }

    @Override
    public LinearWeight upload(MatrixSource source, WeightLayout layout) {
        return CudaWeight.upload(source, layout, activations == ActivationType.INT8_ROW, context, runner);
    }

    @Override
    public KvStore allocateKv(KvShape shape) {
        return new CudaKvStore(shape, context, runner);
    }

    private static long address(Buffer buffer) {
        return ((CudaBuffer) buffer).address();
    }

    private void record(Step step) {
        context.requireUsable();
        steps.add(step);
    }

    @Override
    public TokenBuffer allocateTokens(int capacity) {
        return new CudaTokens(capacity, context, runner);
    }

    @Override
    public void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        context.requireUsable();
        record(new Step.Embed(table, steps.putIds(ids, rows), rows, scale, address(out)));
    }

    @Override
    public void embed(LinearWeight table, TokenBuffer ids, int rows, float scale, Buffer out) {
        record(new Step.Embed(table, ((CudaTokens) ids).address(0), rows, scale, address(out)));
    }

    @Override
    public void gatherPositions(Buffer table, int columns, BatchRows rows, Buffer out) {
        context.requireUsable();
        int count = rows.count();
        record(new Step.GatherRows(address(table), columns, steps.positions(rows), count, address(out)));
    }

    @Override
    public void gatherRows(Buffer x, int columns, int[] rows, Buffer out) {
        long source = address(x);
        long target = address(out);
        long ids = steps.put(rows, rows.length);
        record(new Step.GatherRows(source, columns, ids, rows.length, target));
    }

    @Override
    public void rmsNorm(Buffer x, Buffer weight, int rows, int columns, float epsilon, Buffer out) {
        record(new Step.RmsNorm(address(x), address(weight), rows, columns, epsilon, address(out), 0, null));
    }

    @Override
    public void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        record(new Step.QuantizeRows(address(x), rows, columns, address(q), address(scales)));
    }

    /** Matrices whose activations are alike make one step; those that are integers are quantized before. */
    @Override
    public void linear(Buffer x, int rows, Projection... projections) {
        context.requireUsable();
        if (rows == 0) {
            return;
        }
        if (rows > LinearLaunches.MOST_ROWS) {
            throw new UsageException(
                    "cuda: linear takes at most " + LinearLaunches.MOST_ROWS + " rows at once, not " + rows + ".");
        }
        long in = address(x);
        for (int first = 0; first < projections.length; ) { // neighbors whose activations are alike, mostly all
            int padded = padded(projections[first], rows);
            List<Step.Product> products = new ArrayList<>(projections.length);
            int next = first;
            while (next < projections.length && padded(projections[next], rows) == padded) {
                products.add(product(projections[next++]));
            }
            if (padded != 0) {
                int columns = projections[first].weight().columns();
                boolean perRow = activations == ActivationType.INT8_ROW;
                steps.add(new Step.Quantize(in, rows, columns, padded, perRow));
            }
            steps.add(new Step.Linear(in, rows, padded != 0, products));
            first = next;
        }
    }

    /** Columns of integer activations with those that fill the weight's last tile; 0 for FP32 activations. */
    private int padded(Projection projection, int rows) {
        CudaWeight weight = (CudaWeight) projection.weight();
        return launches.quantizes(weight, rows) ? weight.paddedColumns() : 0;
    }

    private static Step.Product product(Projection projection) {
        Buffer bias = projection.bias();
        return new Step.Product(
                (CudaWeight) projection.weight(),
                bias == null ? 0 : address(bias),
                address(projection.out()),
                projection.type());
    }

    @Override
    public void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        boolean interleaved = kind == Rope.INTERLEAVED;
        record(new Step.Rope(address(x), rows, heads, headDim, ropeDim, interleaved, address(angles)));
    }

    @Override
    public void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        context.requireUsable();
        steps.append(kv, layer, address(keys), address(values), rows);
    }

    @Override
    public void attention(Buffer q, KvStore kv, int layer, AttentionShape shape, BatchRows rows, Buffer out) {
        context.requireUsable();
        long stateBytes = AttentionLaunches.stateBytes(shape);
        steps.attend(kv, layer, shape, address(q), address(out), rows, attentionLimits, stateBytes);
    }

    @Override
    public void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        record(new Step.GatedActivation(gate, address(g), address(up), count, address(out), null));
    }

    @Override
    public void add(Buffer x, Buffer y, long count) {
        record(new Step.Add(address(x), address(y), count));
    }

    @Override
    public void softCap(Buffer x, long count, float cap) {
        record(new Step.SoftCap(address(x), count, cap));
    }

    @Override
    public void sample(Buffer logits, int columns, List<Draw> draws, TokenBuffer out, int first) {
        int rows = draws.size();
        if (columns > Boundary.SAMPLE_COLUMNS) {
            throw new UsageException(
                    "cuda: sample takes rows of 1 to " + Boundary.SAMPLE_COLUMNS + " columns, not " + columns + ".");
        }
        context.requireUsable();
        int[] ints = new int[rows * Boundary.SampleRow.INTS];
        for (int row = 0; row < rows; row++) {
            put(draws.get(row), ints, row * Boundary.SampleRow.INTS);
        }
        CudaTokens tokens = (CudaTokens) out;
        long parameters = steps.put(ints, ints.length);
        record(new Step.Sample(
                address(logits), columns, rows, parameters, tokens.address(first), tokens.hostAddress(first)));
        runner.sampled(tokens);
    }

    @Override
    public void run(Pass pass, TokenIds ids, BatchRows rows) {
        context.requireUsable();
        steps.run(pass, ids, rows);
    }

    @Override
    public boolean runsAhead() {
        return true;
    }

    @Override
    public void start() {
        context.requireUsable();
        steps.run();
    }

    /** Writes the structure {@code SampleRow}. */
    private static void put(Draw draw, int[] ints, int at) {
        ints[at + Boundary.SampleRow.TEMPERATURE] = Float.floatToRawIntBits(draw.temperature());
        ints[at + Boundary.SampleRow.TOP_P] = Float.floatToRawIntBits(draw.topP());
        ints[at + Boundary.SampleRow.MIN_P] = Float.floatToRawIntBits(draw.minP());
        ints[at + Boundary.SampleRow.TOP_K] = draw.topK();
        ints[at + Boundary.SampleRow.SEED] = (int) draw.seed();
        ints[at + Boundary.SampleRow.SEED + 1] = (int) (draw.seed() >>> Integer.SIZE);
        ints[at + Boundary.SampleRow.NUMBER] = (int) draw.number();
        ints[at + Boundary.SampleRow.NUMBER + 1] = (int) (draw.number() >>> Integer.SIZE);
    }

    @Override
    public void discard() {
        steps.discard();
    }

    @Override
    public void close() {
        try {
            steps.discard();
            launches.close();
            runner.close();
            if (context.usable()) {
                kernels.close();
            }
        } finally {
            context.close(); // also where waiting for the last kernels reports their failure
        }
    }
}
