package dev.demitasse.cuda;

import static dev.demitasse.cuda.KernelTable.pieces;

import dev.demitasse.device.OutputType;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.gpu.GpuWeightGroup;
import dev.demitasse.gpu.QuantizedActivations;
import dev.demitasse.gpu.Step;
import dev.demitasse.gpu.Workspace;
import dev.demitasse.quant.WeightLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@link Step.Quantize}, {@link Step.Linear} and {@link Step.GroupedLinear} as launches. */
final class LinearLaunches implements AutoCloseable {
    private static final int ALIGNMENT = 16; // partial sums are stored in pairs

    /** Rows of one call: blocks of four along a dimension. */
    static final int MOST_ROWS = Boundary.MOST_GRID_ROWS * Boundary.EXACT_GEMV_ROWS;

    private final CudaContext context;
    private final KernelModules kernels;
    private final KernelTable.Settings settings;
    private final QuantizedActivations quantized;
    private final Workspace partial;
    private final Workspace fp16;
    private final Workspace wideSums; // of cuBLAS, where results are 16 bits
    private final Fp16Operands operands;
    private @Nullable Cublas cublas;
    private boolean cublasSought;

    /** A matrix that waits to share a launch with others of the same input. */
    private record Waiting(KernelTable.Choice choice, long[] arguments, long[] levels, long elements) {}

    LinearLaunches(CudaContext context, KernelModules kernels, KernelTable.Settings settings) {
        this.context = context;
        this.kernels = kernels;
        this.settings = settings;
        this.quantized = new QuantizedActivations(context);
        this.partial = new Workspace(context);
        this.fp16 = new Workspace(context);
        this.wideSums = new Workspace(context);
        this.operands = new Fp16Operands(context);
    }

    /** Whether rows are quantized before they meet a matrix. */
    boolean quantizes(GpuWeight weight, int rows) {
        return settings.activations().integers()
                && weight.layout().element().quantized()
                && !multiplication(weight, rows).takesFp16();
    }

    /** Makes the workspaces large enough for a step; whether one has moved. */
    boolean reserve(Step.Quantize step) {
        return quantized.reserve(step);
    }

    /** Makes the workspaces large enough for a step; whether one has moved. */
    boolean reserve(Step.Linear step) {
        long partialBytes = 0;
        boolean moved = false;
        for (Step.Product product : step.products()) {
            GpuWeight weight = (GpuWeight) product.weight();
            partialBytes += partialBytes(weight, step.rows());
            if (multiplication(weight, step.rows()).takesFp16()) {
                moved |= operands.reserve(weight, step.rows());
            }
            if (usesLibrary(weight, step.rows())) {
                if (weight.layout().element() == WeightLayout.Element.F16) {
                    moved |= fp16.reserve((long) step.rows() * weight.columns() * Short.BYTES);
                }
                if (product.type() != OutputType.F32) {
                    moved |= wideSums.reserve((long) step.rows() * weight.rows() * Float.BYTES);
                }
            }
        }
        moved |= partial.reserve(partialBytes);
        return moved;
    }

    /** The structure {@code QuantizedRows} of what a step quantizes; of nothing for null. */
    long[] quantizedRows(Step.@Nullable Quantize step) {
        Words words = new Words(Boundary.QuantizedRows.WORDS);
        if (step != null) {
            words.set(Boundary.QuantizedRows.Q, quantized.integers())
                    .set(Boundary.QuantizedRows.GROUPS, quantized.groups(step.rows(), step.padded()))
                    .set(Boundary.QuantizedRows.PADDED, step.padded())
                    .set(Boundary.QuantizedRows.PER_ROW, step.perRow() ? 1 : 0);
        }
        return words.done();
    }

    void lower(Step.Quantize step, List<Launch> out) {
        out.add(new Launch.Kernel(
                "quantize_rows",
                quantizeGrid(step),
                quantizeArguments(step.x(), step).done()));
    }

    /** Rows of experts, as they are gathered. */
    Launch quantizeGathered(Step.Dispatch step, Step.Quantize quantize) {
        Step.Choice choice = step.choice();
        long[] words = quantizeArguments(step.x(), quantize)
                .set(Boundary.QuantizeRowsArgs.IDS, choice.placeRows())
                .set(Boundary.QuantizeRowsArgs.FACTORS, choice.routing().weighsInputs() ? choice.placeWeights() : 0)
                .set(Boundary.QuantizeRowsArgs.OUT, step.out())
                .done();
        return new Launch.Kernel("quantize_gathered", quantizeGrid(quantize), words);
    }

    private Words quantizeArguments(long x, Step.Quantize step) {
        return new Words(Boundary.QuantizeRowsArgs.WORDS)
                .set(Boundary.QuantizeRowsArgs.X, x)
                .set(Boundary.QuantizeRowsArgs.COLUMNS, step.columns())
                .set(Boundary.QuantizeRowsArgs.TO, quantizedRows(step));
    }

    /** A row's groups are shared by blocks, unless they share a scale. */
    private static Launch.Grid quantizeGrid(Step.Quantize step) {
        int blocks = step.perRow() ? 1 : pieces(step.padded(), Boundary.QUANTIZE_COLUMNS);
        return new Launch.Grid(step.rows(), blocks, 1, Boundary.QUANTIZE_THREADS, 0);
    }

    void lower(Step.Linear step, List<Launch> out) {
        List<Waiting> waiting = new ArrayList<>();
        long split = partial.address();
        boolean narrowed = false;
        boolean converted = false;
        for (Step.Product product : step.products()) {
            GpuWeight weight = (GpuWeight) product.weight();
            KernelTable.Choice choice = choose(weight, step.rows());
            if (choice.isCublas()) {
                narrowed = multiply(library(), product, step, narrowed, out);
            } else if (choice.isFp16()) {
                if (!converted) {
                    out.add(operands.convert(step.x(), step.rows(), weight.columns()));
                    converted = true;
                }
                out.add(operands.convert(weight));
                out.add(new Launch.Kernel(choice.kernel(), choice.grid(), fp16Arguments(step, product)));
            } else if (!weight.layout().element().quantized()) {
                out.add(new Launch.Kernel(choice.kernel(), choice.grid(), denseArguments(step, product)));
            } else {
                long[] arguments = arguments(step, product, split);
                split += partialBytes(weight, step.rows());
                Waiting next = new Waiting(choice, arguments, weight.levels(), (long) step.rows() * weight.rows());
                if (!waiting.isEmpty() && !sharesLaunch(waiting, choice, weight.levels())) {
                    flush(waiting, out);
                }
                waiting.add(next);
                if (!choice.shared()) {
                    flush(waiting, out);
                }
            }
        }
        flush(waiting, out);
    }

    /** Matrices of groups, whose kernels find a tile's by its number; those of the same input in one launch. */
    void lower(Step.GroupedLinear step, List<Launch> out) {
        List<Waiting> waiting = new ArrayList<>();
        Step.TileList list = step.list();
        for (Step.GroupedProduct product : step.products()) {
            GpuWeightGroup group = (GpuWeightGroup) product.weights();
            GpuWeight weight = group.matrix(0);
            Step.Product own = new Step.Product(weight, group.biases(), product.out(), OutputType.F32);
            Step.Linear rows = new Step.Linear(step.x(), list.places(), step.integers(), List.of(own));
            KernelTable.Multiplication m = multiplication(weight, list.rows(), false);
            KernelTable.Choice choice =
                    KernelTable.grouped(m, list.count(), list.tiles().rows(), step.integers());
            if (!choice.shared()) {
                long[] words = denseArguments(rows, own);
                words[Boundary.FloatLinearArgs.TILES] = list.address();
                words[Boundary.FloatLinearArgs.GROUP_STRIDE] = group.stride();
                out.add(new Launch.Kernel(choice.kernel(), choice.grid(), words));
                continue;
            }
            long[] words = arguments(rows, own, 0);
            words[Boundary.LinearArgs.GROUP_STRIDE] = group.stride();
            if (!waiting.isEmpty() && !sharesLaunch(waiting, choice, weight.levels())) {
                flushGrouped(waiting, list, out);
            }
            waiting.add(new Waiting(choice, words, weight.levels(), 0));
        }
        flushGrouped(waiting, list, out);
    }

    private void flushGrouped(List<Waiting> waiting, Step.TileList list, List<Launch> out) {
        if (waiting.isEmpty()) {
            return;
        }
        KernelTable.Choice first = waiting.getFirst().choice;
        int[] blocks = waiting.stream().mapToInt(each -> each.choice.grid().x()).toArray();
        if (first.repeats()) {
            int resident = kernels.resident(first.kernel(), first.grid());
            share(blocks, Math.max(1, settings.multiprocessors() / list.fewest()), resident);
        }
        Launch.Kernel launch = together(first.kernel(), first.grid(), waiting, blocks);
        launch.arguments()[Boundary.LinearBatch.TILES] = list.address();
        out.add(launch);
        waiting.clear();
    }

    private static boolean sharesLaunch(List<Waiting> waiting, KernelTable.Choice choice, long[] levels) {
        KernelTable.Choice first = waiting.getFirst().choice;
        return waiting.size() < Boundary.LINEAR_BATCH
                && choice.shared()
                && first.kernel().equals(choice.kernel())
                && Arrays.equals(waiting.getFirst().levels, levels)
                && first.grid().y() == choice.grid().y()
                && first.grid().z() == choice.grid().z();
    }

    /** What waits, as one launch; and where it left sums of segments, one more that adds them up. */
    private void flush(List<Waiting> waiting, List<Launch> out) {
        if (waiting.isEmpty()) {
            return;
        }
        KernelTable.Choice first = waiting.getFirst().choice;
        if (!first.shared()) {
            out.add(new Launch.Kernel(first.kernel(), first.grid(), waiting.getFirst().arguments));
            waiting.clear();
            return;
        }
        int[] blocks = waiting.stream().mapToInt(each -> each.choice.grid().x()).toArray();
        if (first.repeats()) {
            share(blocks, settings.multiprocessors(), kernels.resident(first.kernel(), first.grid()));
        }
        out.add(together(first.kernel(), first.grid(), waiting, blocks));
        if (first.grid().z() > 1) {
            int[] pieces = waiting.stream()
                    .mapToInt(each -> pieces(each.elements, Boundary.ELEMENT_THREADS))
                    .toArray();
            Launch.Grid grid = Launch.Grid.of(0, Boundary.ELEMENT_THREADS);
            out.add(together(first.finish(), grid, waiting, pieces));
        }
        waiting.clear();
    }

    /**
     * Shares the pieces of matrices among as many blocks as a GPU holds, which all begin at once. Where that would give
     * some of them two pieces and others one, one block a multiprocessor takes more of them.
     *
     * @param blocks the pieces of each matrix, and then its blocks
     * @param each blocks that a multiprocessor holds
     */
    static void share(int[] blocks, int multiprocessors, int each) {
        int pieces = Arrays.stream(blocks).sum();
        if (pieces <= multiprocessors * each) {
            return;
        }
        int wanted = multiprocessors * (pieces < 2 * multiprocessors * each ? 1 : each);
        for (int i = 0; i < blocks.length; i++) {
            blocks[i] = Math.max(1, Math.round((float) blocks[i] * wanted / pieces));
        }
    }

    /** A launch over the structure {@code LinearBatch}. */
    private static Launch.Kernel together(String kernel, Launch.Grid grid, List<Waiting> matrices, int[] blocks) {
        Words words =
                new Words(Boundary.LinearBatch.WORDS).set(Boundary.LinearBatch.LEVELS, matrices.getFirst().levels);
        int total = 0;
        for (int i = 0; i < blocks.length; i++) {
            words.set(Boundary.LinearBatch.EACH + i * Boundary.LinearArgs.WORDS, matrices.get(i).arguments);
            words.set(Boundary.LinearBatch.BLOCKS + i, blocks[i]);
            total += blocks[i];
        }
        return new Launch.Kernel(
                kernel, new Launch.Grid(total, grid.y(), grid.z(), grid.threads(), grid.sharedBytes()), words.done());
    }

    /** What decides how a matrix is multiplied. */
    KernelTable.Multiplication multiplication(GpuWeight weight, int rows) {
        return multiplication(weight, rows, usesLibrary(weight, rows));
    }

    private KernelTable.Multiplication multiplication(GpuWeight weight, int rows, boolean library) {
        return new KernelTable.Multiplication(
                settings,
                weight.layout(),
                weight.element(),
                weight.group(),
                weight.rows(),
                weight.tiles(),
                rows,
                library);
    }

    private KernelTable.Choice choose(GpuWeight weight, int rows) {
        return KernelTable.choose(multiplication(weight, rows));
    }

    private long partialBytes(GpuWeight weight, int rows) {
        int segments = multiplication(weight, rows).segments();
        long bytes = segments > 1 ? (long) segments * rows * weight.rows() * Float.BYTES : 0;
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private boolean usesLibrary(GpuWeight weight, int rows) {
        // Activations in BF16 would lose 16 of 24 bits.
        return rows >= KernelTable.DENSE_TILE_ROWS
                && !weight.layout().element().quantized()
                && weight.layout().element() != WeightLayout.Element.BF16
                && !settings.batchInvariant()
                && findLibrary() != null;
    }

    private @Nullable Cublas findLibrary() {
        if (!cublasSought) {
            cublasSought = true;
            cublas = Cublas.open(context);
        }
        return cublas;
    }

    private Cublas library() {
        Cublas found = findLibrary();
        if (found == null) {
            throw new IllegalStateException("a library was chosen that is not there");
        }
        return found;
    }

    /** Multiplication by cuBLAS; whether the input is in FP16 afterwards, as it may have been before. */
    private boolean multiply(
            Cublas library, Step.Product product, Step.Linear step, boolean narrowed, List<Launch> out) {
        GpuWeight weight = (GpuWeight) product.weight();
        int rows = step.rows();
        boolean narrow = weight.layout().element() == WeightLayout.Element.F16;
        if (narrow && !narrowed) {
            long count = (long) rows * weight.columns();
            long[] words = new Words(Boundary.ToFp16Args.WORDS)
                    .set(Boundary.ToFp16Args.X, step.x())
                    .set(Boundary.ToFp16Args.COUNT, count)
                    .set(Boundary.ToFp16Args.OUT, fp16.address())
                    .done();
            out.add(new Launch.Kernel("to_fp16", elements(count), words));
        }
        boolean wide = product.type() == OutputType.F32;
        long operand = narrow ? fp16.address() : step.x();
        long sums = wide ? product.out() : wideSums.address();
        out.add(new Launch.Call(() -> library.multiply(weight, operand, rows, sums)));
        if (!narrow) { // FP16 activations that are not finite are NaN already
            long[] words = new Words(Boundary.PropagateNanArgs.WORDS)
                    .set(Boundary.PropagateNanArgs.X, step.x())
                    .set(Boundary.PropagateNanArgs.COLUMNS, weight.columns())
                    .set(Boundary.PropagateNanArgs.OUT, sums)
                    .set(Boundary.PropagateNanArgs.OUTPUTS, weight.rows())
                    .done();
            out.add(new Launch.Kernel("propagate_nan", Launch.Grid.of(rows, Boundary.ROW_THREADS), words));
        }
        if (product.bias() != 0 || !wide) {
            long count = (long) rows * weight.rows();
            long[] words = new Words(Boundary.AddBiasArgs.WORDS)
                    .set(Boundary.AddBiasArgs.X, sums)
                    .set(Boundary.AddBiasArgs.COUNT, count)
                    .set(Boundary.AddBiasArgs.BIAS, product.bias())
                    .set(Boundary.AddBiasArgs.COLUMNS, weight.rows())
                    .set(Boundary.AddBiasArgs.OUT_TO, product.out())
                    .set(Boundary.AddBiasArgs.OUT_TYPE, Boundary.OutputType.of(product.type()))
                    .done();
            out.add(new Launch.Kernel("add_bias", elements(count), words));
        }
        return narrowed || narrow;
    }

    private static Launch.Grid elements(long count) {
        return Launch.Grid.of(pieces(count, Boundary.ELEMENT_THREADS), Boundary.ELEMENT_THREADS);
    }

    private static long[] denseArguments(Step.Linear step, Step.Product product) {
        GpuWeight weight = (GpuWeight) product.weight();
        return new Words(Boundary.FloatLinearArgs.WORDS)
                .set(Boundary.FloatLinearArgs.WEIGHTS, weight.elements())
                .set(Boundary.FloatLinearArgs.STRIDE, weight.stride())
                .set(Boundary.FloatLinearArgs.OUTPUTS, weight.rows())
                .set(Boundary.FloatLinearArgs.COLUMNS, weight.columns())
                .set(Boundary.FloatLinearArgs.X, step.x())
                .set(Boundary.FloatLinearArgs.ROWS, step.rows())
                .set(Boundary.FloatLinearArgs.BIAS, product.bias())
                .set(Boundary.FloatLinearArgs.OUT_TO, product.out())
                .set(Boundary.FloatLinearArgs.OUT_TYPE, Boundary.OutputType.of(product.type()))
                .done();
    }

    /** The fields of {@code LinearArgs} that do not depend on what the operands are. */
    private static Words linearArguments(Step.Linear step, Step.Product product) {
        GpuWeight weight = (GpuWeight) product.weight();
        return new Words(Boundary.LinearArgs.WORDS)
                .set(Boundary.LinearArgs.OUTPUTS, weight.rows())
                .set(Boundary.LinearArgs.COLUMNS, weight.columns())
                .set(Boundary.LinearArgs.ROWS, step.rows())
                .set(Boundary.LinearArgs.BIAS, product.bias())
                .set(Boundary.LinearArgs.OUT_TO, product.out())
                .set(Boundary.LinearArgs.OUT_TYPE, Boundary.OutputType.of(product.type()));
    }

    private long[] fp16Arguments(Step.Linear step, Step.Product product) {
        return linearArguments(step, product)
                .set(Boundary.LinearArgs.QUANTS, operands.weights())
                .set(
                        Boundary.LinearArgs.TILES,
                        Boundary.fp16_tiles(product.weight().columns()))
                .set(Boundary.LinearArgs.Q, operands.activations())
                .done();
    }

    private long[] arguments(Step.Linear step, Step.Product product, long split) {
        GpuWeight weight = (GpuWeight) product.weight();
        Words words = linearArguments(step, product)
                .set(Boundary.LinearArgs.QUANTS, weight.elements())
                .set(Boundary.LinearArgs.SCALES, weight.scales())
                .set(Boundary.LinearArgs.MINS, weight.mins())
                .set(Boundary.LinearArgs.TILES, weight.tiles())
                .set(Boundary.LinearArgs.FP16_SCALES, weight.fp16Scales() ? 1 : 0)
                .set(Boundary.LinearArgs.X, step.x())
                .set(Boundary.LinearArgs.PARTIAL, split);
        if (step.integers()) {
            words.set(Boundary.LinearArgs.Q, quantized.integers())
                    .set(Boundary.LinearArgs.GROUPS, quantized.groups(step.rows(), weight.paddedColumns()));
        }
        return words.done();
    }

    @Override
    public void close() {
        quantized.close();
        partial.close();
        fp16.close();
        wideSums.close();
        operands.close();
        if (cublas != null) {
            cublas.close();
        }
    }
}
