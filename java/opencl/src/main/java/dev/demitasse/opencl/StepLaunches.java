package dev.demitasse.opencl;

import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.ScanShape;
import dev.demitasse.gpu.GpuMemory;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.gpu.Step;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Steps as launches. */
final class StepLaunches implements AutoCloseable {
    private final LinearLaunches linear;
    private final AttentionLaunches attention;

    StepLaunches(GpuMemory memory, int units, DeviceInfo.Kernels kernels) {
        this.linear = new LinearLaunches(memory, kernels);
        this.attention = new AttentionLaunches(memory, units, linear);
    }

    /** Makes the workspaces large enough for a step; whether one has moved. */
    boolean reserve(Step step) {
        return switch (step) {
            case Step.Quantize s -> linear.reserve(s);
            case Step.Attention s -> attention.reserve(s);
            default -> false;
        };
    }

    /** The launches of steps, for which there must be room ({@link #reserve}). */
    List<Launch> lower(List<Step> steps) {
        List<Launch> out = new ArrayList<>(steps.size());
        for (Step step : steps) {
            switch (step) {
                case Step.Embed s -> embed(s, out);
                case Step.GatherRows s -> out.add(gatherRows(s));
                case Step.Add s -> out.add(add(s));
                case Step.Scale s -> out.add(scale(s));
                case Step.SoftCap s -> out.add(softCap(s));
                case Step.QuantizeRows s -> out.add(quantizeRows(s));
                case Step.Quantize s -> out.add(linear.lower(s));
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
                case Step.KvAppend s -> out.add(AttentionLaunches.append(s));
                case Step.Attention s -> attention.lower(s, out);
                case Step.Convolve s -> out.add(convolve(s));
                case Step.DeltaRule s -> out.add(deltaRule(s));
                case Step.SelectiveScan s -> out.add(selectiveScan(s));
                case Step.Sample s -> sample(s, out);
                case Step.Copy s -> out.add(new Launch.Copy(s.to(), s.from(), s.bytes()));
            }
        }
        out.removeIf(launch ->
                launch instanceof Launch.Kernel kernel && kernel.grid().isEmpty());
        return out;
    }

    /** The kernel of that name, without macros. */
    static Programs.Key kernel(String name) {
        return new Programs.Key(name, "");
    }

    /** The macro of a kernel that does with what it writes what a step wants. */
    static String quantizes(Step.@Nullable Quantize step) {
        return "-DQUANTIZES=" + (step == null ? 0 : step.perRow() ? 2 : 1);
    }

    /** How many pieces of a size make up {@code count}. */
    static long pieces(long count, int size) {
        return (count + size - 1) / size;
    }

    private static Launch.Grid elements(long count) {
        return new Launch.Grid(pieces(count, Boundary.ELEMENT_ITEMS), 1, 1, Boundary.ELEMENT_ITEMS);
    }

    /** A launch for each part of the table, which has the ids that are in it. */
    private static void embed(Step.Embed s, List<Launch> out) {
        int first = 0;
        for (GpuWeight part : ((GpuWeight) s.table()).parts()) {
            out.add(embed(s, part, first));
            first += part.rows();
        }
    }

    private static Launch embed(Step.Embed s, GpuWeight table, int first) {
        return new Arguments(Boundary.EmbedArgs.WORDS)
                .buffer(Boundary.EmbedArgs.WEIGHTS, table.elements())
                .buffer(Boundary.EmbedArgs.IDS, s.ids())
                .buffer(Boundary.EmbedArgs.OUT, s.out())
                .offset(Boundary.EmbedArgs.SCALES, table.scales())
                .offset(Boundary.EmbedArgs.MINS, table.mins())
                .set(Boundary.EmbedArgs.ELEMENT, Boundary.Element.of(table.element()))
                .set(Boundary.EmbedArgs.LEVELS, table.levels())
                .set(Boundary.EmbedArgs.GROUP, table.group())
                .set(Boundary.EmbedArgs.FP16_SCALES, table.fp16Scales() ? 1 : 0)
                .set(Boundary.EmbedArgs.COLUMNS, table.columns())
                .set(Boundary.EmbedArgs.FIRST, first)
                .set(Boundary.EmbedArgs.ROWS, table.rows())
                .setFloat(Boundary.EmbedArgs.SCALE, s.scale())
                .launch(
                        kernel("embed"),
                        new Launch.Grid(pieces(table.columns(), Boundary.ROW_ITEMS), s.rows(), 1, Boundary.ROW_ITEMS));
    }

    private static Launch gatherRows(Step.GatherRows s) {
        return new Arguments(Boundary.GatherRowsArgs.WORDS)
                .buffer(Boundary.GatherRowsArgs.X, s.x())
                .buffer(Boundary.GatherRowsArgs.IDS, s.ids())
                .buffer(Boundary.GatherRowsArgs.FACTORS, 0)
                .buffer(Boundary.GatherRowsArgs.OUT, s.out())
                .set(Boundary.GatherRowsArgs.COLUMNS, s.columns())
                .launch(kernel("gather_rows"), new Launch.Grid(s.rows(), 1, 1, Boundary.ROW_ITEMS));
    }

    private Launch dispatch(Step.Dispatch s) {
        return s.quantize() == null ? ExpertLaunches.dispatch(s) : linear.quantizeGathered(s, s.quantize());
    }

    private static Launch add(Step.Add s) {
        return new Arguments(Boundary.AddArgs.WORDS)
                .buffer(Boundary.AddArgs.X, s.x())
                .buffer(Boundary.AddArgs.Y, s.y())
                .set(Boundary.AddArgs.COUNT, s.count())
                .launch(kernel("add"), elements(s.count()));
    }

    private static Launch scale(Step.Scale s) {
        return new Arguments(Boundary.ScaleArgs.WORDS)
                .buffer(Boundary.ScaleArgs.X, s.x())
                .set(Boundary.ScaleArgs.COUNT, s.count())
                .setFloat(Boundary.ScaleArgs.FACTOR, s.factor())
                .launch(kernel("scale"), elements(s.count()));
    }

    private static Launch softCap(Step.SoftCap s) {
        return new Arguments(Boundary.SoftCapArgs.WORDS)
                .buffer(Boundary.SoftCapArgs.X, s.x())
                .set(Boundary.SoftCapArgs.COUNT, s.count())
                .setFloat(Boundary.SoftCapArgs.CAP, s.cap())
                .launch(kernel("soft_cap"), elements(s.count()));
    }

    private static Launch quantizeRows(Step.QuantizeRows s) {
        return new Arguments(Boundary.QuantizeRowsArgs.WORDS)
                .buffer(Boundary.QuantizeRowsArgs.X, s.x())
                .buffer(Boundary.QuantizeRowsArgs.PLAIN, s.q())
                .buffer(Boundary.QuantizeRowsArgs.SCALES, s.scales())
                .set(Boundary.QuantizeRowsArgs.COLUMNS, s.columns())
                .launch(
                        new Programs.Key("quantize_rows", "-DPLAIN=1 -DPER_ROW=0"),
                        new Launch.Grid(
                                pieces(s.columns(), Boundary.QUANTIZE_COLUMNS), s.rows(), 1, Boundary.QUANTIZE_ITEMS));
    }

    private static Launch layerNorm(Step.LayerNorm s) {
        return new Arguments(Boundary.LayerNormArgs.WORDS)
                .buffer(Boundary.LayerNormArgs.X, s.x())
                .buffer(Boundary.LayerNormArgs.WEIGHT, s.weight())
                .buffer(Boundary.LayerNormArgs.BIAS, s.bias())
                .buffer(Boundary.LayerNormArgs.OUT, s.out())
                .set(Boundary.LayerNormArgs.COLUMNS, s.columns())
                .setFloat(Boundary.LayerNormArgs.EPSILON, s.epsilon())
                .launch(kernel("layer_norm"), new Launch.Grid(s.rows(), 1, 1, Boundary.NORM_ITEMS));
    }

    private Launch rmsNorm(Step.RmsNorm s) {
        return new Arguments(Boundary.RmsNormArgs.WORDS)
                .buffer(Boundary.RmsNormArgs.X, s.x())
                .buffer(Boundary.RmsNormArgs.WEIGHT, s.weight())
                .buffer(Boundary.RmsNormArgs.OUT, s.out())
                .buffer(Boundary.RmsNormArgs.ADDEND, s.addend())
                .buffer(linear.activations().integers(s.quantize()))
                .set(Boundary.RmsNormArgs.GROUPS, s.groups())
                .set(Boundary.RmsNormArgs.COLUMNS, s.columns())
                .setFloat(Boundary.RmsNormArgs.EPSILON, s.epsilon())
                .set(Boundary.RmsNormArgs.QUANTIZED, linear.quantizedRows(s.quantize()))
                .launch(
                        new Programs.Key("rms_norm", quantizes(s.quantize())),
                        new Launch.Grid(s.rows(), 1, 1, Boundary.NORM_ITEMS));
    }

    /** Rows where it also quantizes, else all elements as one. */
    private Launch gatedActivation(Step.GatedActivation s) {
        Step.Quantize quantize = s.quantize();
        long columns = quantize == null ? s.count() : quantize.columns();
        int rows = quantize == null ? 1 : quantize.rows();
        long padded = quantize == null ? 0 : quantize.padded();
        return new Arguments(Boundary.GatedActivationArgs.WORDS)
                .buffer(Boundary.GatedActivationArgs.GATE, s.g())
                .buffer(Boundary.GatedActivationArgs.UP, s.up())
                .buffer(Boundary.GatedActivationArgs.OUT, s.out())
                .buffer(linear.activations().integers(quantize))
                .set(Boundary.GatedActivationArgs.FUNCTION, Boundary.Gate.of(s.gate()))
                .set(Boundary.GatedActivationArgs.COLUMNS, columns)
                .set(Boundary.GatedActivationArgs.QUANTIZED, linear.quantizedRows(quantize))
                .launch(
                        new Programs.Key("gated_activation", quantizes(quantize)),
                        new Launch.Grid(
                                pieces(Math.max(columns, padded), Boundary.GATE_COLUMNS),
                                rows,
                                1,
                                Boundary.GATE_ITEMS));
    }

    private static Launch rope(Step.Rope s) {
        return new Arguments(Boundary.RopeArgs.WORDS)
                .buffer(Boundary.RopeArgs.X, s.x())
                .buffer(s.angles())
                .set(Boundary.RopeArgs.ROWS, s.rows())
                .set(Boundary.RopeArgs.HEADS, s.heads())
                .set(Boundary.RopeArgs.HEAD_DIM, s.headDim())
                .set(Boundary.RopeArgs.ANGLES, s)
                .launch(kernel("rope"), elements((long) s.rows() * s.heads() * (s.ropeDim() / 2)));
    }

    private static Launch convolve(Step.Convolve s) {
        return new Arguments(Boundary.ConvolveArgs.WORDS)
                .buffer(Boundary.ConvolveArgs.X, s.x())
                .buffer(Boundary.ConvolveArgs.WEIGHT, s.weight())
                .buffer(Boundary.ConvolveArgs.BIAS, s.bias())
                .buffer(Boundary.ConvolveArgs.STATE, s.state())
                .buffer(s.rows().positions())
                .buffer(Boundary.ConvolveArgs.OUT, s.out())
                .set(Boundary.ConvolveArgs.CHANNELS, s.channels())
                .set(Boundary.ConvolveArgs.KERNEL_ROWS, s.kernel())
                .set(Boundary.ConvolveArgs.SILU, s.silu() ? 1 : 0)
                .set(Boundary.ConvolveArgs.ROWS, s.rows())
                .launch(
                        kernel("convolve"),
                        new Launch.Grid(
                                pieces(s.channels(), Boundary.ELEMENT_ITEMS),
                                s.rows().count(),
                                1,
                                Boundary.ELEMENT_ITEMS));
    }

    private static Launch deltaRule(Step.DeltaRule s) {
        DeltaShape shape = s.shape();
        return new Arguments(Boundary.DeltaRuleArgs.WORDS)
                .buffer(Boundary.DeltaRuleArgs.X, s.x())
                .buffer(Boundary.DeltaRuleArgs.B, s.b())
                .buffer(Boundary.DeltaRuleArgs.A, s.a())
                .buffer(Boundary.DeltaRuleArgs.BIAS, s.bias())
                .buffer(Boundary.DeltaRuleArgs.RATE, s.rate())
                .buffer(Boundary.DeltaRuleArgs.STATE, s.state())
                .buffer(s.rows().positions())
                .buffer(Boundary.DeltaRuleArgs.OUT, s.out())
                .set(Boundary.DeltaRuleArgs.KEY_HEADS, shape.keyHeads())
                .set(Boundary.DeltaRuleArgs.HEADS, shape.heads())
                .set(Boundary.DeltaRuleArgs.HEAD_DIM, shape.headDim())
                .set(Boundary.DeltaRuleArgs.GROUPED, shape.grouped() ? 1 : 0)
                .setFloat(Boundary.DeltaRuleArgs.EPSILON, shape.epsilon())
                .set(Boundary.DeltaRuleArgs.ROWS, s.rows())
                .launch(
                        kernel("delta_rule"),
                        new Launch.Grid(
                                (long) shape.heads() * Boundary.delta_groups(shape.headDim()),
                                s.rows().count(),
                                1,
                                Boundary.DELTA_ITEMS));
    }

    private static Launch selectiveScan(Step.SelectiveScan s) {
        ScanShape shape = s.shape();
        return new Arguments(Boundary.SelectiveScanArgs.WORDS)
                .buffer(Boundary.SelectiveScanArgs.X, s.x())
                .buffer(Boundary.SelectiveScanArgs.STEPS, s.steps())
                .buffer(Boundary.SelectiveScanArgs.BIAS, s.bias())
                .buffer(Boundary.SelectiveScanArgs.RATE, s.rate())
                .buffer(Boundary.SelectiveScanArgs.SKIP, s.skip())
                .buffer(Boundary.SelectiveScanArgs.STATE, s.state())
                .buffer(s.rows().positions())
                .buffer(Boundary.SelectiveScanArgs.OUT, s.out())
                .set(Boundary.SelectiveScanArgs.GROUPS, shape.groups())
                .set(Boundary.SelectiveScanArgs.HEADS, shape.heads())
                .set(Boundary.SelectiveScanArgs.HEAD_DIM, shape.headDim())
                .set(Boundary.SelectiveScanArgs.STATE_DIM, shape.stateDim())
                .set(Boundary.SelectiveScanArgs.ROWS, s.rows())
                .launch(
                        kernel("selective_scan"),
                        new Launch.Grid(
                                (long) shape.heads() * Boundary.delta_groups(shape.headDim()),
                                s.rows().count(),
                                1,
                                Boundary.DELTA_ITEMS));
    }

    private Launch rotate(Step.Rotate s) {
        return new Arguments(Boundary.RotateArgs.WORDS)
                .buffer(Boundary.RotateArgs.X, s.x())
                .buffer(linear.activations().integers(s.quantize()))
                .set(Boundary.RotateArgs.ROWS, s.rows())
                .set(Boundary.RotateArgs.HEADS, s.heads())
                .set(Boundary.RotateArgs.HEAD_DIM, s.headDim())
                .set(Boundary.RotateArgs.QUANTIZED, linear.quantizedRows(s.quantize()))
                .launch(
                        new Programs.Key("rotate_heads", quantizes(s.quantize())),
                        new Launch.Grid(s.heads(), s.rows(), 1, Boundary.ROTATE_ITEMS));
    }

    private static void sample(Step.Sample s, List<Launch> out) {
        out.add(new Arguments(Boundary.SampleArgs.WORDS)
                .buffer(Boundary.SampleArgs.LOGITS, s.logits())
                .buffer(Boundary.SampleArgs.ROWS, s.draws())
                .buffer(Boundary.SampleArgs.OUT, s.out())
                .set(Boundary.SampleArgs.COLUMNS, s.columns())
                .launch(kernel("sample"), new Launch.Grid(s.rows(), 1, 1, Boundary.SAMPLE_ITEMS)));
        if (s.rows() > 0) {
            out.add(new Launch.Read(s.out(), s.host(), s.rows() * Integer.BYTES));
        }
    }

    @Override
    public void close() {
        linear.close();
        attention.close();
    }
}
