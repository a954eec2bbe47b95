package dev.demitasse.opencl;

import static dev.demitasse.opencl.StepLaunches.pieces;

import dev.demitasse.device.OutputType;
import dev.demitasse.gpu.GpuElement;
import dev.demitasse.gpu.GpuMemory;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.gpu.GpuWeightGroup;
import dev.demitasse.gpu.QuantizedActivations;
import dev.demitasse.gpu.Step;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** {@link Step.Quantize}, {@link Step.Linear} and {@link Step.GroupedLinear} as launches. */
final class LinearLaunches implements AutoCloseable {
    /** Rows of one call. */
    static final int MOST_ROWS = 65535; // work-groups along the second dimension, on NVIDIA's GPUs

    private final DeviceInfo.Kernels variants;
    private final QuantizedActivations quantized;

    /** Rows of activations: FP32 at {@code x}, or integers; of groups where there is a list of tiles. */
    private record Rows(long x, int count, boolean integers, Step.@Nullable TileList list) {
        /** Rows that a work-group has. */
        int each() {
            return list != null
                    ? list.tiles().rows()
                    : count >= Boundary.LEAST_GEMM_ROWS ? Boundary.GEMM_ROWS : Boundary.gemv_rows(count);
        }

        boolean many() {
            return each() == Boundary.GEMM_ROWS;
        }
    }

    /** A matrix that waits to share a launch with others of the same input and kernel. */
    private record Waiting(Programs.Key kernel, GpuWeight weight, Step.Product product, long[] arguments) {}

    LinearLaunches(GpuMemory memory, DeviceInfo.Kernels variants) {
        this.variants = variants;
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
        return quantizeArguments(step.x(), step).launch(quantizeKernel(step, ""), quantizeGrid(step));
    }

    /** Rows of experts, as they are gathered. */
    Launch quantizeGathered(Step.Dispatch step, Step.Quantize quantize) {
        Step.Choice choice = step.choice();
        return quantizeArguments(step.x(), quantize)
                .buffer(Boundary.QuantizeRowsArgs.IDS, choice.placeRows())
                .buffer(Boundary.QuantizeRowsArgs.FACTORS, choice.routing().weighsInputs() ? choice.placeWeights() : 0)
                .buffer(Boundary.QuantizeRowsArgs.OUT, step.out())
                .launch(quantizeKernel(quantize, " -DGATHERED=1"), quantizeGrid(quantize));
    }

    private Arguments quantizeArguments(long x, Step.Quantize step) {
        return new Arguments(Boundary.QuantizeRowsArgs.WORDS)
                .buffer(Boundary.QuantizeRowsArgs.X, x)
                .buffer(quantized.integers())
                .buffer(0)
                .set(Boundary.QuantizeRowsArgs.COLUMNS, step.columns())
                .set(Boundary.QuantizeRowsArgs.TO, quantizedRows(step));
    }

    private static Programs.Key quantizeKernel(Step.Quantize step, String macros) {
        return new Programs.Key("quantize_rows", "-DPLAIN=0 -DPER_ROW=" + (step.perRow() ? 1 : 0) + macros);
    }

    /** A row's groups are shared by work-groups, unless they share a scale. */
    private static Launch.Grid quantizeGrid(Step.Quantize step) {
        long blocks = step.perRow() ? 1 : pieces(step.padded(), Boundary.QUANTIZE_COLUMNS);
        return new Launch.Grid(blocks, step.rows(), 1, Boundary.QUANTIZE_ITEMS);
    }

    void lower(Step.Linear step, List<Launch> out) {
        Rows rows = new Rows(step.x(), step.rows(), step.integers(), null);
        List<Waiting> waiting = new ArrayList<>();
        for (Step.Product product : step.products()) {
            int first = 0;
            for (GpuWeight part : ((GpuWeight) product.weight()).parts()) {
                await(
                        new Waiting(kernel(rows, part), part, product, arguments(rows, product, part, first)),
                        rows,
                        waiting,
                        out);
                first += part.rows();
            }
        }
        flush(rows, waiting, out);
    }

    /** Matrices of groups, whose kernels find a tile's by its number. */
    void lower(Step.GroupedLinear step, List<Launch> out) {
        Rows rows = new Rows(step.x(), step.list().places(), step.integers(), step.list());
        List<Waiting> waiting = new ArrayList<>();
        for (Step.GroupedProduct each : step.products()) {
            GpuWeightGroup group = (GpuWeightGroup) each.weights();
            GpuWeight weight = group.matrix(0);
            Step.Product product = new Step.Product(weight, group.biases(), each.out(), OutputType.F32);
            long[] arguments = arguments(rows, product, weight, 0);
            arguments[Boundary.LinearArgs.GROUP_STRIDE] = group.stride();
            await(new Waiting(kernel(rows, weight), weight, product, arguments), rows, waiting, out);
        }
        flush(rows, waiting, out);
    }

    private void await(Waiting next, Rows rows, List<Waiting> waiting, List<Launch> out) {
        if (waiting.size() == Boundary.LINEAR_BATCH
                || !waiting.isEmpty() && !waiting.getFirst().kernel.equals(next.kernel)) {
            flush(rows, waiting, out);
        }
        waiting.add(next);
    }

    private Programs.Key kernel(Rows rows, GpuWeight weight) {
        GpuElement element = weight.element();
        String name = (rows.many() ? "gemm_" : "gemv_")
                + (element.quantized() ? element.name().toLowerCase(Locale.ROOT) : "float");
        String macros = element.quantized()
                ? "-DREACH=" + weight.group() + " -DEXACT=" + (rows.integers ? 0 : 1) + " -DPRODUCT="
                        + Boundary.Product.of(variants.product())
                : "-DELEMENT=" + Boundary.Element.of(element);
        if (element == GpuElement.LEVELS) {
            long[] levels = weight.levels();
            macros += String.format(Locale.ROOT, " -DLEVELS_0=0x%xul -DLEVELS_1=0x%xul", levels[0], levels[1]);
        }
        String each = rows.many() ? "" : " -DROWS=" + rows.each();
        return new Programs.Key(
                name, macros + each + " -DWIDTH=" + variants.width() + (rows.list == null ? "" : " -DGROUPED=1"));
    }

    /** {@code first}: which of the product's outputs is the first of this part of its weights. */
    private long[] arguments(Rows rows, Step.Product product, GpuWeight weight, int first) {
        long x = rows.integers ? quantized.integers() : rows.x;
        long groups = rows.integers ? quantized.groups(rows.count, weight.paddedColumns()) : 0;
        return new Arguments(Boundary.LinearArgs.WORDS)
                .offset(Boundary.LinearArgs.ELEMENTS, weight.elements())
                .offset(Boundary.LinearArgs.SCALES, weight.scales())
                .offset(Boundary.LinearArgs.MINS, weight.mins())
                .set(Boundary.LinearArgs.FP16_SCALES, weight.fp16Scales() ? 1 : 0)
                .set(Boundary.LinearArgs.OUTPUTS, weight.rows())
                .set(Boundary.LinearArgs.COLUMNS, weight.columns())
                .offset(Boundary.LinearArgs.X, x)
                .offset(Boundary.LinearArgs.GROUPS, groups)
                .set(Boundary.LinearArgs.ROWS, rows.count)
                .offset(Boundary.LinearArgs.BIAS, product.bias() == 0 ? 0 : product.bias() + (long) Float.BYTES * first)
                .offset(
                        Boundary.LinearArgs.OUT,
                        product.out() + (long) product.type().bytes() * first)
                .set(Boundary.LinearArgs.OUT_STRIDE, product.weight().rows())
                .set(Boundary.LinearArgs.OUT_TYPE, Boundary.OutputType.of(product.type()))
                .words();
    }

    /** What waits, as one launch over the structure {@code LinearBatch}. */
    private void flush(Rows rows, List<Waiting> waiting, List<Launch> out) {
        if (waiting.isEmpty()) {
            return;
        }
        Arguments all = new Arguments(Boundary.LinearBatch.WORDS).buffer(rows.integers ? quantized.integers() : rows.x);
        for (int i = 0; i < Boundary.LINEAR_BATCH; i++) {
            all.buffer(i < waiting.size() ? waiting.get(i).weight.elements() : 0);
        }
        for (int i = 0; i < Boundary.LINEAR_BATCH; i++) {
            all.buffer(i < waiting.size() ? waiting.get(i).product.bias() : 0);
        }
        int outputs = rows.many() ? Boundary.GEMM_OUTPUTS : Boundary.BLOCK_OUTPUTS; // of a work-group
        long blocks = 0;
        for (int i = 0; i < Boundary.LINEAR_BATCH; i++) {
            all.buffer(i < waiting.size() ? waiting.get(i).product.out() : 0);
            if (i < waiting.size()) {
                long own = pieces(waiting.get(i).weight.rows(), outputs);
                all.set(Boundary.LinearBatch.EACH + i * Boundary.LinearArgs.WORDS, waiting.get(i).arguments);
                all.set(Boundary.LinearBatch.BLOCKS + i, own);
                blocks += own;
            }
        }
        long tiles = pieces(rows.count, rows.each());
        if (rows.list != null) {
            all.buffer(Boundary.LinearBatch.TILES, rows.list.address());
            tiles = rows.list.count();
        }
        int items = rows.many() ? Boundary.gemm_items(variants.width()) : Boundary.gemv_items(variants.width());
        out.add(all.launch(waiting.getFirst().kernel, new Launch.Grid(blocks, tiles, 1, items)));
        waiting.clear();
    }

    @Override
    public void close() {
        quantized.close();
    }
}
