package dev.demitasse.cuda;

import dev.demitasse.UsageException;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Projection;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** {@code linear} as launches: which kernel takes a matrix and a number of rows. */
final class LinearLaunches implements AutoCloseable {
    /** Rows up to which weights are read by dot products; above, by tensor cores. */
    private static final int GEMV_ROWS = 4;

    /** Rows from which a block of wgmma, twice 128, is not mostly empty. */
    private static final int WGMMA_ROWS = 64;

    private static final int SEGMENTS = 8;
    private static final int OUTPUTS = WeightTiles.OUTPUTS;
    private static final int GROUP_BYTES = 8;

    private final LaunchList launches;
    private final ActivationType activations;
    private final int multiprocessors;
    private final boolean wgmma;
    private final Workspace integers;
    private final Workspace partial;

    LinearLaunches(
            CudaContext context, LaunchList launches, ActivationType activations, int multiprocessors, boolean wgmma) {
        this.launches = launches;
        this.activations = activations;
        this.multiprocessors = multiprocessors;
        this.wgmma = wgmma;
        this.integers = new Workspace(context, launches);
        this.partial = new Workspace(context, launches);
    }

    /** The activations of one call as integers: tiles with padding for the widest weight tile, and their groups. */
    private record Quantised(long q, long groups, int padded) {}

    /** Records a multiplication of {@code rows} rows by each projection's weight. */
    void add(Buffer x, int rows, Projection... projections) {
        int columns = projections[0].weight().columns();
        long in = CudaBuffer.address(x, (long) rows * columns * Float.BYTES, launches);
        if (rows == 0) {
            return;
        }
        Quantised quantised = null;
        for (Projection projection : projections) {
            CudaWeight weight = CudaWeight.of(projection.weight(), launches);
            if (weight.columns() != columns) {
                throw new UsageException(
                        "Weights of one linear have " + columns + " and " + weight.columns() + " columns.");
            }
            Buffer bias = projection.bias();
            long biasAddress =
                    bias == null ? 0 : CudaBuffer.address(bias, (long) weight.rows() * Float.BYTES, launches);
            long out = CudaBuffer.address(projection.out(), (long) rows * weight.rows() * Float.BYTES, launches);
            if (!weight.layout().element().quantised()) {
                addFloat(weight, in, rows, biasAddress, out);
                continue;
            }
            if (activations.integers() && (quantised == null || quantised.padded != weight.paddedColumns())) {
                quantised = quantise(in, rows, columns, weight.paddedColumns());
            }
            addInteger(weight, in, quantised, rows, biasAddress, out);
        }
    }

    private Quantised quantise(long x, int rows, int columns, int padded) {
        long bytes = (long) pieces(rows, WeightTiles.OUTPUTS) * WeightTiles.OUTPUTS * padded;
        long q = integers.address(bytes + (long) rows * padded / 32 * GROUP_BYTES);
        launches.add(
                "quantize_rows",
                rows,
                1,
                1,
                256,
                0,
                x,
                rows,
                columns,
                padded,
                activations == ActivationType.INT8_ROW ? 1 : 0,
                1,
                q,
                q + bytes,
                0);
        return new Quantised(q, q + bytes, padded);
    }

    private void addFloat(CudaWeight weight, long x, int rows, long bias, long out) {
        int rowsEach = rows == 1 ? 1 : GEMV_ROWS;
        launches.add(
                "gemv_" + weight.layout().element().name().toLowerCase(Locale.ROOT) + "_rows" + rowsEach,
                pieces(weight.rows(), OUTPUTS),
                pieces(rows, rowsEach),
                1,
                256,
                0,
                weight.elements(),
                weight.stride(),
                weight.rows(),
                weight.columns(),
                x,
                rows,
                bias,
                out);
    }

    private void addInteger(CudaWeight weight, long x, @Nullable Quantised q, int rows, long bias, long out) {
        int part = weight.part();
        boolean tensorCores = q != null && rows > GEMV_ROWS;
        String name = (tensorCores ? "gemm_" : "gemv_")
                + weight.layout().element().name().toLowerCase(Locale.ROOT)
                + (part == 0 ? "_row" : part == 16 ? "_half" : "_group");
        GemmTile tile = GemmTile.of(rows, part);
        int x0 = pieces(weight.rows(), tensorCores ? tile.outputs() : OUTPUTS);
        int rowsEach = tensorCores ? tile.rows() : rows == 1 ? 1 : GEMV_ROWS;
        int y0 = pieces(rows, rowsEach);
        int segments = Math.min(SEGMENTS, weight.tiles());
        boolean split = tensorCores && part != 0 && (long) x0 * y0 < 2L * multiprocessors && segments > 1;
        long[] arguments = {
            weight.elements(),
            weight.scales(),
            weight.mins(),
            weight.rows(),
            weight.tiles(),
            weight.halfScales(),
            weight.layout().zero(),
            x,
            q == null ? 0 : q.q,
            q == null ? 0 : q.groups,
            weight.columns(),
            rows,
            bias,
            out,
            split ? partial.address((long) segments * rows * weight.rows() * Float.BYTES) : 0
        };
        if (!tensorCores) {
            launches.add(name + (q == null ? "_float" : "") + "_rows" + rowsEach, x0, y0, 1, 256, 0, arguments);
            return;
        }
        if (wgmma && part == 0 && !weight.int4() && rows > WGMMA_ROWS) {
            int units = pieces(rows, 2 * GemmTile.WGMMA.rows()) * pieces(weight.rows(), GemmTile.WGMMA.outputs());
            int blocks = Math.max(1, Math.min(units, multiprocessors / 2)) * 2;
            launches.add(name + "_wgmma", blocks, 1, 1, GemmTile.WGMMA.threads(), GemmTile.WGMMA_BYTES, arguments);
            return;
        }
        int shared = tile.sharedBytes(weight.int4(), part);
        launches.add(name + "_m" + tile.rows(), x0, y0, split ? segments : 1, tile.threads(), shared, arguments);
        if (split) {
            launches.add("linear_finish", pieces((long) rows * weight.rows(), 256), 1, 1, 256, 0, arguments);
        }
    }

    private static int pieces(long count, int size) {
        return Math.toIntExact((count + size - 1) / size);
    }

    @Override
    public void close() {
        integers.close();
        partial.close();
    }
}
