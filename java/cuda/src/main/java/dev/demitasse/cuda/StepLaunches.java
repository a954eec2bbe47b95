package dev.demitasse.cuda;

import static dev.demitasse.cuda.KernelTable.pieces;

import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.ScanShape;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.gpu.Step;
import java.util.ArrayList;
import java.util.List;

/** Steps as launches: each kind of step by its kernel, which {@link KernelTable} names where there are several. */
final class StepLaunches implements AutoCloseable {
    private final LinearLaunches linear;
    private final AttentionLaunches attention;

    StepLaunches(CudaContext context, KernelModules kernels, KernelTable.Settings settings) {
        this.linear = new LinearLaunches(context, kernels, settings);
        this.attention = new AttentionLaunches(context, kernels, settings.multiprocessors(), linear);
    }

    /** What decides how a matrix is multiplied. */
    KernelTable.Multiplication multiplication(GpuWeight weight, int rows) {
        return linear.multiplication(weight, rows);
    }

    /** Whether rows are quantized before they meet a matrix. */
    boolean quantizes(GpuWeight weight, int rows) {
        return linear.quantizes(weight, rows);
    }

    /**
     * Makes the workspaces large enough for a step; whether one has moved, so that graphs made before are of no use any
     * more.
     */
    boolean reserve(Step step) {
        return switch (step) {
            case Step.Quantize s -> linear.reserve(s);
            case Step.Linear s -> linear.reserve(s);
            case Step.Attention s -> attention.reserve(s);
            default -> false;
        };
    }

    /** The launches of steps, for which there must be room ({@link #reserve}). */
    List<Launch> lower(List<Step> steps) {
        List<Launch> out = new ArrayList<>(steps.size());
        for (Step step : steps) {
            switch (step) {
                case Step.Embed s -> out.add(embed(s));
                case Step.GatherRows s -> out.add(gatherRows(s));
                case Step.Add s -> out.add(add(s));
                case Step.Scale s -> out.add(scale(s));
                case Step.SoftCap s -> out.add(softCap(s));
                case Step.QuantizeRows s -> out.add(quantizeRows(s));
                case Step.Quantize s -> linear.lower(s, out);
                case Step.RmsNorm s -> out.add(rmsNorm(s));
                case Step.LayerNorm s -> out.add(layerNorm(s));
                case Step.GatedActivation s -> out.add(gatedActivation(s));
                case Step.Linear s -> linear.lower(s, out);
                case Step.GroupedLinear s -> linear.lower(s, out);
                case Step.Route s -> ExpertLaunches.lower(s, out);
                case Step.Dispatch s -> out.add(dispatch(s));
                case Step.Combine s -> out.add(ExpertLaunches.combine(s));
                case Step.GateRows s -> out.add(ExpertLaunches.gateRows(s));
                case Step.Rope s -> out.add(rope(s));
                case Step.Rotate s -> out.add(rotate(s));
                case Step.KvAppend s -> attention.lower(s, out);
                case Step.Attention s -> attention.lower(s, out);
                case Step.Convolve s -> out.add(convolve(s));
                case Step.DeltaRule s -> out.add(deltaRule(s));
                case Step.SelectiveScan s -> out.add(selectiveScan(s));
                case Step.Sample s -> out.add(sample(s));
                case Step.Copy s -> out.add(new Launch.Copy(s.to(), s.from(), s.bytes()));
            }
        }
        out.removeIf(launch ->
                launch instanceof Launch.Kernel kernel && kernel.grid().isEmpty());
        return out;
    }

    private static Launch elements(String kernel, long count, Words words) {
        Launch.Grid grid = Launch.Grid.of(pieces(count, Boundary.ELEMENT_THREADS), Boundary.ELEMENT_THREADS);
        return new Launch.Kernel(kernel, grid, words.done());
    }

    private static Launch rows(String kernel, int rows, Words words) {
        return new Launch.Kernel(kernel, Launch.Grid.of(rows, Boundary.ROW_THREADS), words.done());
    }

    private static Launch embed(Step.Embed s) {
        GpuWeight table = (GpuWeight) s.table();
        Launch.Grid grid =
                new Launch.Grid(s.rows(), pieces(table.columns(), Boundary.ROW_THREADS), 1, Boundary.ROW_THREADS, 0);
        return new Launch.Kernel(
                "embed",
                grid,
                new Words(Boundary.EmbedArgs.WORDS)
                        .set(Boundary.EmbedArgs.ELEMENT, Boundary.Table.of(table.element()))
                        .set(Boundary.EmbedArgs.WEIGHTS, table.elements())
                        .set(Boundary.EmbedArgs.SCALES, table.scales())
                        .set(Boundary.EmbedArgs.MINS, table.mins())
                        .set(Boundary.EmbedArgs.STRIDE, table.stride())
                        .set(Boundary.EmbedArgs.TILES, table.tiles())
                        .set(Boundary.EmbedArgs.GROUP, table.group())
                        .set(Boundary.EmbedArgs.FP16_SCALES, table.fp16Scales() ? 1 : 0)
                        .set(Boundary.EmbedArgs.LEVELS, table.levels())
                        .set(Boundary.EmbedArgs.COLUMNS, table.columns())
                        .set(Boundary.EmbedArgs.IDS, s.ids())
                        .setFloat(Boundary.EmbedArgs.SCALE, s.scale())
                        .set(Boundary.EmbedArgs.OUT, s.out())
                        .done());
    }

    private static Launch gatherRows(Step.GatherRows s) {
        return rows(
                "gather_rows",
                s.rows(),
                new Words(Boundary.GatherRowsArgs.WORDS)
                        .set(Boundary.GatherRowsArgs.X, s.x())
                        .set(Boundary.GatherRowsArgs.COLUMNS, s.columns())
                        .set(Boundary.GatherRowsArgs.IDS, s.ids())
                        .set(Boundary.GatherRowsArgs.OUT, s.out()));
    }

    private Launch dispatch(Step.Dispatch s) {
        return s.quantize() == null ? ExpertLaunches.dispatch(s) : linear.quantizeGathered(s, s.quantize());
    }

    private static Launch add(Step.Add s) {
        return elements(
                "add",
                s.count(),
                new Words(Boundary.AddArgs.WORDS)
                        .set(Boundary.AddArgs.X, s.x())
                        .set(Boundary.AddArgs.Y, s.y())
                        .set(Boundary.AddArgs.COUNT, s.count()));
    }

    private static Launch scale(Step.Scale s) {
        return elements(
                "scale",
                s.count(),
                new Words(Boundary.ScaleArgs.WORDS)
                        .set(Boundary.ScaleArgs.X, s.x())
                        .set(Boundary.ScaleArgs.COUNT, s.count())
                        .setFloat(Boundary.ScaleArgs.FACTOR, s.factor()));
    }

    private static Launch softCap(Step.SoftCap s) {
        return elements(
                "soft_cap",
                s.count(),
                new Words(Boundary.SoftCapArgs.WORDS)
                        .set(Boundary.SoftCapArgs.X, s.x())
                        .set(Boundary.SoftCapArgs.COUNT, s.count())
                        .setFloat(Boundary.SoftCapArgs.CAP, s.cap()));
    }

    private static Launch quantizeRows(Step.QuantizeRows s) {
        Launch.Grid grid = new Launch.Grid(
                s.rows(), pieces(s.columns(), Boundary.QUANTIZE_COLUMNS), 1, Boundary.QUANTIZE_THREADS, 0);
        return new Launch.Kernel(
                "quantize_rows",
                grid,
                new Words(Boundary.QuantizeRowsArgs.WORDS)
                        .set(Boundary.QuantizeRowsArgs.X, s.x())
                        .set(Boundary.QuantizeRowsArgs.COLUMNS, s.columns())
                        .set(Boundary.QuantizeRowsArgs.PLAIN, s.q())
                        .set(Boundary.QuantizeRowsArgs.SCALES, s.scales())
                        .done());
    }

    private static Launch layerNorm(Step.LayerNorm s) {
        return rows(
                "layer_norm",
                s.rows(),
                new Words(Boundary.LayerNormArgs.WORDS)
                        .set(Boundary.LayerNormArgs.X, s.x())
                        .set(Boundary.LayerNormArgs.WEIGHT, s.weight())
                        .set(Boundary.LayerNormArgs.BIAS, s.bias())
                        .set(Boundary.LayerNormArgs.COLUMNS, s.columns())
                        .setFloat(Boundary.LayerNormArgs.EPSILON, s.epsilon())
                        .set(Boundary.LayerNormArgs.OUT, s.out()));
    }

    private Launch rmsNorm(Step.RmsNorm s) {
        Words words = new Words(Boundary.RmsNormArgs.WORDS)
                .set(Boundary.RmsNormArgs.X, s.x())
                .set(Boundary.RmsNormArgs.WEIGHT, s.weight())
                .set(Boundary.RmsNormArgs.GROUPS, s.groups())
                .set(Boundary.RmsNormArgs.COLUMNS, s.columns())
                .setFloat(Boundary.RmsNormArgs.EPSILON, s.epsilon())
                .set(Boundary.RmsNormArgs.OUT, s.out())
                .set(Boundary.RmsNormArgs.SUM, s.addend() == 0 ? 0 : s.x())
                .set(Boundary.RmsNormArgs.ADDEND, s.addend())
                .set(Boundary.RmsNormArgs.QUANTIZED, linear.quantizedRows(s.quantize()));
        Launch.Grid grid = Launch.Grid.of(s.rows(), Boundary.rms_norm_threads(s.columns()));
        return new Launch.Kernel("rms_norm", grid, words.done());
    }

    /** Rows where it also quantizes, else all elements as one. */
    private Launch gatedActivation(Step.GatedActivation s) {
        Step.Quantize quantize = s.quantize();
        long columns = quantize == null ? s.count() : quantize.columns();
        int rows = quantize == null ? 1 : quantize.rows();
        Words words = new Words(Boundary.GatedActivationArgs.WORDS)
                .set(Boundary.GatedActivationArgs.FUNCTION, Boundary.Gate.of(s.gate()))
                .set(Boundary.GatedActivationArgs.GATE, s.g())
                .set(Boundary.GatedActivationArgs.UP, s.up())
                .set(Boundary.GatedActivationArgs.COLUMNS, columns)
                .set(Boundary.GatedActivationArgs.OUT, s.out())
                .set(Boundary.GatedActivationArgs.QUANTIZED, linear.quantizedRows(quantize));
        int blocks = pieces(Math.max(columns, quantize == null ? 0 : quantize.padded()), Boundary.GATE_COLUMNS);
        return new Launch.Kernel(
                "gated_activation", new Launch.Grid(blocks, rows, 1, Boundary.GATE_THREADS, 0), words.done());
    }

    private static Launch rope(Step.Rope s) {
        return elements(
                "rope",
                (long) s.rows() * s.heads() * (s.ropeDim() / 2),
                new Words(Boundary.RopeArgs.WORDS)
                        .set(Boundary.RopeArgs.X, s.x())
                        .set(Boundary.RopeArgs.ROWS, s.rows())
                        .set(Boundary.RopeArgs.HEADS, s.heads())
                        .set(Boundary.RopeArgs.HEAD_DIM, s.headDim())
                        .set(Boundary.RopeArgs.ANGLES, s));
    }

    private Launch rotate(Step.Rotate s) {
        long[] words = new Words(Boundary.RotateArgs.WORDS)
                .set(Boundary.RotateArgs.X, s.x())
                .set(Boundary.RotateArgs.ROWS, s.rows())
                .set(Boundary.RotateArgs.HEADS, s.heads())
                .set(Boundary.RotateArgs.HEAD_DIM, s.headDim())
                .set(Boundary.RotateArgs.QUANTIZED, linear.quantizedRows(s.quantize()))
                .done();
        int blocks = pieces((long) s.rows() * s.heads(), Boundary.ROTATE_HEADS);
        return new Launch.Kernel("rotate", Launch.Grid.of(blocks, Boundary.ROTATE_THREADS), words);
    }

    private static Launch convolve(Step.Convolve s) {
        long[] words = new Words(Boundary.ConvolveArgs.WORDS)
                .set(Boundary.ConvolveArgs.X, s.x())
                .set(Boundary.ConvolveArgs.WEIGHT, s.weight())
                .set(Boundary.ConvolveArgs.BIAS, s.bias())
                .set(Boundary.ConvolveArgs.CHANNELS, s.channels())
                .set(Boundary.ConvolveArgs.KERNEL, s.kernel())
                .set(Boundary.ConvolveArgs.SILU, s.silu() ? 1 : 0)
                .set(Boundary.ConvolveArgs.STATE, s.state())
                .set(Boundary.ConvolveArgs.ROWS + Boundary.StateRows.ROWS, s.rows(), 0)
                .set(
                        Boundary.ConvolveArgs.ROWS + Boundary.StateRows.COUNT,
                        s.rows().count())
                .set(Boundary.ConvolveArgs.OUT, s.out())
                .done();
        int blocks = pieces(s.channels(), Boundary.ELEMENT_THREADS);
        return new Launch.Kernel(
                "convolve", new Launch.Grid(s.rows().count(), blocks, 1, Boundary.ELEMENT_THREADS, 0), words);
    }

    private static Launch deltaRule(Step.DeltaRule s) {
        DeltaShape shape = s.shape();
        long[] words = new Words(Boundary.DeltaRuleArgs.WORDS)
                .set(Boundary.DeltaRuleArgs.X, s.x())
                .set(Boundary.DeltaRuleArgs.B, s.b())
                .set(Boundary.DeltaRuleArgs.A, s.a())
                .set(Boundary.DeltaRuleArgs.BIAS, s.bias())
                .set(Boundary.DeltaRuleArgs.RATE, s.rate())
                .set(Boundary.DeltaRuleArgs.KEY_HEADS, shape.keyHeads())
                .set(Boundary.DeltaRuleArgs.HEADS, shape.heads())
                .set(Boundary.DeltaRuleArgs.HEAD_DIM, shape.headDim())
                .set(Boundary.DeltaRuleArgs.GROUPED, shape.grouped() ? 1 : 0)
                .setFloat(Boundary.DeltaRuleArgs.EPSILON, shape.epsilon())
                .set(Boundary.DeltaRuleArgs.STATE, s.state())
                .set(Boundary.DeltaRuleArgs.ROWS + Boundary.StateRows.ROWS, s.rows(), 0)
                .set(
                        Boundary.DeltaRuleArgs.ROWS + Boundary.StateRows.COUNT,
                        s.rows().count())
                .set(Boundary.DeltaRuleArgs.OUT, s.out())
                .done();
        int blocks = shape.heads() * Boundary.delta_blocks(shape.headDim());
        return new Launch.Kernel(
                "delta_rule_" + Boundary.delta_dim(shape.headDim()),
                new Launch.Grid(s.rows().count(), blocks, 1, Boundary.DELTA_THREADS, 0),
                words);
    }

    private static Launch selectiveScan(Step.SelectiveScan s) {
        ScanShape shape = s.shape();
        long[] words = new Words(Boundary.SelectiveScanArgs.WORDS)
                .set(Boundary.SelectiveScanArgs.X, s.x())
                .set(Boundary.SelectiveScanArgs.STEPS, s.steps())
                .set(Boundary.SelectiveScanArgs.BIAS, s.bias())
                .set(Boundary.SelectiveScanArgs.RATE, s.rate())
                .set(Boundary.SelectiveScanArgs.SKIP, s.skip())
                .set(Boundary.SelectiveScanArgs.GROUPS, shape.groups())
                .set(Boundary.SelectiveScanArgs.HEADS, shape.heads())
                .set(Boundary.SelectiveScanArgs.HEAD_DIM, shape.headDim())
                .set(Boundary.SelectiveScanArgs.STATE_DIM, shape.stateDim())
                .set(Boundary.SelectiveScanArgs.STATE, s.state())
                .set(Boundary.SelectiveScanArgs.ROWS + Boundary.StateRows.ROWS, s.rows(), 0)
                .set(
                        Boundary.SelectiveScanArgs.ROWS + Boundary.StateRows.COUNT,
                        s.rows().count())
                .set(Boundary.SelectiveScanArgs.OUT, s.out())
                .done();
        int elements = Boundary.delta_dim(shape.stateDim());
        int blocks = shape.heads() * Boundary.scan_blocks(shape.headDim(), elements);
        return new Launch.Kernel(
                "selective_scan_" + elements,
                new Launch.Grid(s.rows().count(), blocks, 1, Boundary.DELTA_THREADS, 0),
                words);
    }

    private static Launch sample(Step.Sample s) {
        long[] words = new Words(Boundary.SampleArgs.WORDS)
                .set(Boundary.SampleArgs.LOGITS, s.logits())
                .set(Boundary.SampleArgs.COLUMNS, s.columns())
                .set(Boundary.SampleArgs.ROWS, s.draws())
                .set(Boundary.SampleArgs.OUT, s.out())
                .set(Boundary.SampleArgs.HOST, s.host())
                .done();
        return new Launch.Kernel("sample", Launch.Grid.of(s.rows(), Boundary.SAMPLE_THREADS), words);
    }

    @Override
    public void close() {
        linear.close();
        attention.close();
    }
}
