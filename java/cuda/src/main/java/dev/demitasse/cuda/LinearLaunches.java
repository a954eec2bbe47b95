package dev.demitasse.cuda;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Projection;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gpu.WeightTiles;
import dev.demitasse.quant.WeightLayout;
import org.jspecify.annotations.Nullable;

/** {@code linear} as launches: which kernel takes a matrix and a number of rows. */
final class LinearLaunches implements AutoCloseable {
    /** Rows of integers up to which the kernels are bound by reading weights; above, blocks share them. */
    private static final int GEMV_ROWS = 8;

    /** Rows up to which several blocks quantise one. */
    private static final int MOST_SHARED_ROWS = 64;

    /** Blocks of gemv that a multiprocessor holds. */
    private static final int GEMV_BLOCKS = 3;

    /** Rows of FP32 activations of a block. */
    private static final int FLOAT_GEMV_ROWS = 4;

    /** Rows from which dense weights are multiplied in tiles, whose sums are in another order than those of few rows. */
    private static final int FLOAT_GEMM_ROWS = 16;

    /** Rows from which a block of wgmma, twice 128, is not mostly empty. */
    private static final int WGMMA_ROWS = 64;

    private static final int SEGMENTS = 8;
    private static final int OUTPUTS = WeightTiles.OUTPUTS;
    private static final int GROUP_BYTES = 8;
    private static final int ALIGNMENT = 16;

    /** Rows of one call: blocks of four along a dimension of 65,535. */
    private static final int MOST_ROWS = 65535 * FLOAT_GEMV_ROWS;

    private final CudaContext context;
    private final LaunchList launches;
    private final Choice choice;
    private final Workspace integers;
    private final Workspace partial;
    private final Workspace halves;
    private final Workspace wideSums; // of cuBLAS, where results are 16 bits
    private @Nullable Cublas cublas;
    private boolean cublasSought;
    private long halved; // address of the call's activations in FP16, or 0

    /**
     * What decides which kernel takes a matrix.
     *
     * @param activations how integer weights meet their input
     * @param multiprocessors of the GPU
     * @param wgmma whether whole rows of INT8 are multiplied by wgmma
     * @param batchInvariant whether a row's sums may not depend on the number of rows
     */
    record Choice(ActivationType activations, int multiprocessors, boolean wgmma, boolean batchInvariant) {}

    /**
     * Where results go.
     *
     * @param bias address, or 0
     * @param out address
     */
    private record Target(long bias, long out, OutputType type) {}

    LinearLaunches(CudaContext context, LaunchList launches, Choice choice) {
        this.context = context;
        this.launches = launches;
        this.choice = choice;
        this.integers = new Workspace(context, launches);
        this.partial = new Workspace(context, launches);
        this.halves = new Workspace(context, launches);
        this.wideSums = new Workspace(context, launches);
    }

    /** Records a multiplication of {@code rows} rows by each projection's weight. */
    void add(Buffer x, int rows, Projection... projections) {
        int columns = projections[0].weight().columns();
        long in = ((CudaBuffer) x).address();
        if (rows == 0) {
            return;
        }
        if (rows > MOST_ROWS) {
            throw new UsageException("cuda: linear takes at most " + MOST_ROWS + " rows at once, not " + rows + ".");
        }
        CudaWeight[] weights = new CudaWeight[projections.length];
        long splitBytes = 0;
        for (int i = 0; i < projections.length; i++) {
            weights[i] = (CudaWeight) projections[i].weight();
            splitBytes += partialBytes(weights[i], rows);
        }
        long split = splitBytes == 0 ? 0 : partial.address(splitBytes);
        halved = 0;
        QuantizedRows quantized = QuantizedRows.NOWHERE;
        LinearBatch batch = new LinearBatch(launches, GEMV_BLOCKS * choice.multiprocessors());
        for (int i = 0; i < projections.length; i++) {
            CudaWeight weight = weights[i];
            Target to = target(projections[i]);
            if (!weight.layout().element().quantized()) {
                addFloat(weight, in, rows, to);
                continue;
            }
            if (choice.activations().integers() && quantized.padded() != weight.paddedColumns()) {
                batch.flush();
                quantized = quantise(in, rows, columns, weight.paddedColumns());
            }
            long[] arguments = arguments(weight, in, quantized, rows, to, split);
            split += partialBytes(weight, rows);
            addInteger(batch, weight, rows, arguments);
        }
        batch.flush();
    }

    private static Target target(Projection projection) {
        Buffer bias = projection.bias();
        return new Target(
                bias == null ? 0 : ((CudaBuffer) bias).address(),
                ((CudaBuffer) projection.out()).address(),
                projection.type());
    }

    private QuantizedRows quantise(long x, int rows, int columns, int padded) {
        long bytes = (long) pieces(rows, WeightTiles.OUTPUTS) * WeightTiles.OUTPUTS * padded;
        long q = integers.address(bytes + (long) rows * padded / 32 * GROUP_BYTES);
        QuantizedRows to = new QuantizedRows(q, q + bytes, padded, choice.activations() == ActivationType.INT8_ROW);
        if (!launches.quantiseByLast(x, rows, columns, to)) {
            // A row's groups are shared by blocks, unless they share a scale; many rows need no more blocks.
            int blocks = to.wholeRows() || rows > MOST_SHARED_ROWS ? 1 : pieces(padded, 256);
            launches.add("quantize_rows", rows, blocks, 1, 256, 0, to.after(x, columns, 0, 0));
        }
        return to;
    }

    private void addFloat(CudaWeight weight, long x, int rows, Target to) {
        long[] arguments = {
            weight.elements(),
            weight.stride(),
            weight.rows(),
            weight.columns(),
            x,
            rows,
            to.bias,
            to.out,
            to.type.ordinal()
        };
        if (rows < FLOAT_GEMM_ROWS || choice.batchInvariant()) {
            int rowsEach = rows == 1 ? 1 : FLOAT_GEMV_ROWS;
            launches.add(
                    weight.floatGemvKernel(rows),
                    pieces(weight.rows(), OUTPUTS),
                    pieces(rows, rowsEach),
                    1,
                    256,
                    0,
                    arguments);
            return;
        }
        Cublas library = cublas(weight);
        if (library != null) {
            multiply(library, weight, x, rows, to);
            return;
        }
        int edge = rows <= 64 ? 64 : 128;
        launches.add(
                weight.gemmKernel("_m" + edge), pieces(weight.rows(), edge), pieces(rows, edge), 1, 256, 0, arguments);
    }

    private @Nullable Cublas cublas(CudaWeight weight) {
        if (weight.layout().element() == WeightLayout.Element.BF16) {
            return null; // activations in BF16 would lose 16 of 24 bits
        }
        if (!cublasSought) {
            cublasSought = true;
            cublas = Cublas.open(context);
        }
        return cublas;
    }

    /** The address of {@code count} numbers in FP16; once for all matrices of a call. */
    private long halves(long x, long count) {
        if (halved == 0) {
            halved = halves.address(count * Short.BYTES);
            launches.add("to_fp16", pieces(count, 256), 1, 1, 256, 0, x, count, halved);
        }
        return halved;
    }

    private void multiply(Cublas library, CudaWeight weight, long x, int rows, Target to) {
        boolean half = weight.layout().element() == WeightLayout.Element.F16;
        long operand = half ? halves(x, (long) rows * weight.columns()) : x;
        long count = (long) rows * weight.rows();
        boolean wide = to.type == OutputType.F32;
        long sums = wide ? to.out : wideSums.address(count * Float.BYTES);
        launches.call(() -> library.multiply(weight, operand, rows, sums));
        if (!half) { // FP16 activations that are not finite are NaN already
            launches.add("propagate_nan", rows, 1, 1, 256, 0, x, weight.columns(), sums, weight.rows());
        }
        if (to.bias != 0 || !wide) {
            launches.add(
                    "add_bias",
                    pieces(count, 256),
                    1,
                    1,
                    256,
                    0,
                    sums,
                    count,
                    to.bias,
                    weight.rows(),
                    to.out,
                    to.type.ordinal());
        }
    }

    /** The words of {@code LinearArgs}. */
    private static long[] arguments(
            CudaWeight weight, long x, QuantizedRows quantized, int rows, Target to, long split) {
        return new long[] {
            weight.elements(),
            weight.scales(),
            weight.mins(),
            weight.rows(),
            weight.tiles(),
            weight.halfScales(),
            x,
            quantized.q(),
            quantized.groups(),
            weight.columns(),
            rows,
            to.bias,
            to.out,
            to.type.ordinal(),
            split
        };
    }

    private boolean byGemm(int rows) {
        return choice.activations().integers() && rows > GEMV_ROWS;
    }

    private static int segments(CudaWeight weight) {
        return Math.min(SEGMENTS, weight.tiles());
    }

    /** Whether so few blocks would multiply that each is to take one segment of the columns only. */
    private boolean splits(CudaWeight weight, int rows) {
        GemmTile tile = GemmTile.of(rows, weight.part());
        return byGemm(rows)
                && weight.layout().element().quantized()
                && weight.part() != 0
                && segments(weight) > 1
                && (long) pieces(weight.rows(), tile.outputs()) * pieces(rows, tile.rows())
                        < 2L * choice.multiprocessors();
    }

    private long partialBytes(CudaWeight weight, int rows) {
        long bytes = splits(weight, rows) ? (long) segments(weight) * rows * weight.rows() * Float.BYTES : 0;
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; // sums are stored in pairs
    }

    private boolean takesWgmma(CudaWeight weight) {
        return choice.wgmma()
                && weight.part() == 0
                && !weight.int4()
                && !weight.layout().minimum()
                && weight.rows() % 2 == 0;
    }

    private void addInteger(LinearBatch batch, CudaWeight weight, int rows, long[] arguments) {
        int part = weight.part();
        if (!choice.activations().integers()) {
            int rowsEach = rows == 1 ? 1 : FLOAT_GEMV_ROWS;
            batch.add(
                    weight.floatGemvKernel(rows),
                    pieces(weight.rows(), OUTPUTS),
                    pieces(rows, rowsEach),
                    1,
                    256,
                    0,
                    arguments);
            return;
        }
        if (rows <= GEMV_ROWS) {
            boolean eight = rows > 4;
            batch.add(weight.integerGemvKernel(eight), pieces(weight.rows(), 2 * OUTPUTS), 1, 1, 256, 0, arguments);
            return;
        }
        if (takesWgmma(weight) && rows > WGMMA_ROWS) {
            batch.flush();
            int units = pieces(rows, 2 * GemmTile.WGMMA.rows()) * pieces(weight.rows(), GemmTile.WGMMA.outputs());
            int blocks = Math.max(1, Math.min(units, choice.multiprocessors() / 2)) * 2;
            launches.add(
                    weight.gemmKernel("_wgmma"),
                    blocks,
                    1,
                    1,
                    GemmTile.WGMMA.threads(),
                    GemmTile.WGMMA_BYTES,
                    arguments);
            return;
        }
        GemmTile tile = GemmTile.of(rows, part);
        batch.add(
                weight.gemmKernel("_m" + tile.rows()),
                pieces(weight.rows(), tile.outputs()),
                pieces(rows, tile.rows()),
                splits(weight, rows) ? segments(weight) : 1,
                tile.threads(),
                tile.sharedBytes(weight.int4(), part),
                arguments);
    }

    static int pieces(long count, int size) {
        return Math.toIntExact((count + size - 1) / size);
    }

    @Override
    public void close() {
        integers.close();
        partial.close();
        halves.close();
        wideSums.close();
        if (cublas != null) {
            cublas.close();
        }
    }
}
