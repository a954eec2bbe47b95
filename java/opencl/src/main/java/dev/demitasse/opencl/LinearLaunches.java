package dev.demitasse.opencl;

import static dev.demitasse.opencl.StepLaunches.pieces;

import dev.demitasse.gpu.GpuMemory;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.gpu.QuantizedActivations;
import dev.demitasse.gpu.Step;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@link Step.Quantize} and {@link Step.Linear} as launches. */
final class LinearLaunches implements AutoCloseable {
    /** Rows of one call. */
    static final int MOST_ROWS = 1 << 20;

    private final QuantizedActivations quantized;

    /** A matrix that waits to share a launch with others of the same input and kernel. */
    private record Waiting(Programs.Key kernel, Step.Product product, long[] arguments, long blocks) {}

    LinearLaunches(GpuMemory memory) {
        this.quantized = new QuantizedActivations(memory);
    }

    /** Makes the workspace large enough for a step; whether it has moved. */
    boolean reserve(Step.Quantize step) {
        return quantized.reserve(step);
    }

    /** Where integers go. */
    QuantizedActivations activations() {
        return quantized;
    }

    /** The structure {@code QuantizedRows} of what a step quantizes; of nothing for null. */
    long[] quantizedRows(Step.@Nullable Quantize step) {
        Arguments to =
                new Arguments(Boundary.QuantizedRows.WORDS).offset(Boundary.QuantizedRows.Q, quantized.integers(step));
        if (step != null) {
            to.offset(Boundary.QuantizedRows.GROUPS, quantized.groups(step.rows(), step.padded()))
                    .set(Boundary.QuantizedRows.PADDED, step.padded())
                    .set(Boundary.QuantizedRows.PER_ROW, step.perRow() ? 1 : 0);
        }
        return to.words();
    }

    Launch lower(Step.Quantize step) {
        // A row's groups are shared by work-groups, unless they share a scale.
        long blocks = step.perRow() ? 1 : pieces(step.padded(), Boundary.QUANTIZE_COLUMNS);
        return new Arguments(Boundary.QuantizeRowsArgs.WORDS)
                .buffer(Boundary.QuantizeRowsArgs.X, step.x())
                .buffer(quantized.integers())
                .buffer(0)
                .set(Boundary.QuantizeRowsArgs.COLUMNS, step.columns())
                .set(Boundary.QuantizeRowsArgs.TO, quantizedRows(step))
                .launch(
                        new Programs.Key("quantize_rows", "-DPLAIN=0 -DPER_ROW=" + (step.perRow() ? 1 : 0)),
                        new Launch.Grid(blocks, step.rows(), 1, Boundary.QUANTIZE_ITEMS));
    }

    void lower(Step.Linear step, List<Launch> out) {
        List<Waiting> waiting = new ArrayList<>();
        for (Step.Product product : step.products()) {
            GpuWeight weight = (GpuWeight) product.weight();
            if (!weight.layout().element().quantized()) {
                out.add(dense(step, product, weight));
                continue;
            }
            Waiting next = new Waiting(
                    key(step, weight),
                    product,
                    arguments(step, product, weight),
                    pieces(weight.rows(), Boundary.TILE_OUTPUTS));
            if (waiting.size() == Boundary.LINEAR_BATCH
                    || !waiting.isEmpty() && !waiting.getFirst().kernel.equals(next.kernel)) {
                flush(step, waiting, out);
            }
            waiting.add(next);
        }
        flush(step, waiting, out);
    }

    private static int rows(Step.Linear step) {
        return step.integers() ? Boundary.gemv_rows(step.rows()) : Boundary.exact_gemv_rows(step.rows());
    }

    private static Programs.Key key(Step.Linear step, GpuWeight weight) {
        return new Programs.Key(
                weight.int4() ? "gemv_int4" : "gemv_int8",
                "-DREACH=" + weight.group() + " -DFP16_SCALES=" + (weight.fp16Scales() ? 1 : 0) + " -DMINIMUM="
                        + (weight.mins() != 0 ? 1 : 0) + " -DROWS=" + rows(step) + " -DEXACT="
                        + (step.integers() ? 0 : 1));
    }

    private long[] arguments(Step.Linear step, Step.Product product, GpuWeight weight) {
        long x = step.integers() ? quantized.integers() : step.x();
        long groups = step.integers() ? quantized.groups(step.rows(), weight.paddedColumns()) : 0;
        return new Arguments(Boundary.LinearArgs.WORDS)
                .offset(Boundary.LinearArgs.QUANTS, weight.elements())
                .offset(Boundary.LinearArgs.SCALES, weight.scales())
                .offset(Boundary.LinearArgs.MINS, weight.mins())
                .set(Boundary.LinearArgs.OUTPUTS, weight.rows())
                .set(Boundary.LinearArgs.TILES, weight.tiles())
                .offset(Boundary.LinearArgs.X, x)
                .offset(Boundary.LinearArgs.GROUPS, groups)
                .set(Boundary.LinearArgs.COLUMNS, weight.columns())
                .set(Boundary.LinearArgs.ROWS, step.rows())
                .offset(Boundary.LinearArgs.BIAS, product.bias())
                .offset(Boundary.LinearArgs.OUT, product.out())
                .set(Boundary.LinearArgs.OUT_TYPE, Boundary.OutputType.of(product.type()))
                .words();
    }

    /** What waits, as one launch over the structure {@code LinearBatch}. */
    private void flush(Step.Linear step, List<Waiting> waiting, List<Launch> out) {
        if (waiting.isEmpty()) {
            return;
        }
        Arguments all =
                new Arguments(Boundary.LinearBatch.WORDS).buffer(step.integers() ? quantized.integers() : step.x());
        List<Step.Product> products = waiting.stream().map(Waiting::product).toList();
        for (int i = 0; i < Boundary.LINEAR_BATCH; i++) {
            all.buffer(i < products.size() ? ((GpuWeight) products.get(i).weight()).elements() : 0);
        }
        for (int i = 0; i < Boundary.LINEAR_BATCH; i++) {
            all.buffer(i < products.size() ? products.get(i).bias() : 0);
        }
        long blocks = 0;
        for (int i = 0; i < Boundary.LINEAR_BATCH; i++) {
            all.buffer(i < products.size() ? products.get(i).out() : 0);
            if (i < products.size()) {
                all.set(Boundary.LinearBatch.EACH + i * Boundary.LinearArgs.WORDS, waiting.get(i).arguments);
                all.set(Boundary.LinearBatch.BLOCKS + i, waiting.get(i).blocks);
                blocks += waiting.get(i).blocks;
            }
        }
        out.add(all.launch(
                waiting.getFirst().kernel,
                new Launch.Grid(blocks, pieces(step.rows(), rows(step)), 1, Boundary.GEMV_ITEMS)));
        waiting.clear();
    }

    private static Launch dense(Step.Linear step, Step.Product product, GpuWeight weight) {
        int rows = Boundary.exact_gemv_rows(step.rows());
        return new Arguments(Boundary.FloatLinearArgs.WORDS)
                .buffer(Boundary.FloatLinearArgs.X, step.x())
                .buffer(Boundary.FloatLinearArgs.WEIGHTS, weight.elements())
                .buffer(Boundary.FloatLinearArgs.BIAS, product.bias())
                .buffer(Boundary.FloatLinearArgs.OUT, product.out())
                .set(Boundary.FloatLinearArgs.STRIDE, weight.stride())
                .set(Boundary.FloatLinearArgs.OUTPUTS, weight.rows())
                .set(Boundary.FloatLinearArgs.COLUMNS, weight.columns())
                .set(Boundary.FloatLinearArgs.ROWS, step.rows())
                .set(Boundary.FloatLinearArgs.OUT_TYPE, Boundary.OutputType.of(product.type()))
                .launch(
                        new Programs.Key(
                                "gemv_float",
                                "-DELEMENT=" + Boundary.Table.of(weight.layout().element()) + " -DROWS=" + rows),
                        new Launch.Grid(
                                pieces(weight.rows(), Boundary.FLOAT_GEMV_OUTPUTS),
                                pieces(step.rows(), rows),
                                1,
                                Boundary.FLOAT_GEMV_ITEMS));
    }

    @Override
    public void close() {
        quantized.close();
    }
}
