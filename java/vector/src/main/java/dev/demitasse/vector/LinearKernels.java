package dev.demitasse.vector;

import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.demitasse.cpu.HostBuffer;
import dev.demitasse.cpu.HostWeight;
import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Projection;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.WeightLayout;

/** {@code linear}: quantizes the input where wanted, picks the kernel, and shares out panels and rows. */
final class LinearKernels implements AutoCloseable {
    /** Input rows of a task: their activations (a few hundred bytes a column) stay in the second-level cache. */
    private static final int ROW_BLOCK = 64;
    /** Panels of a task of one row: some tens of microseconds, so that threads end together. */
    private static final int GEMV_PANELS = 4;

    private static final int TILE_BYTES = ROW_BLOCK * PackedMatrix.PANEL * Float.BYTES;
    private static final int SCRATCH_BYTES = TILE_BYTES + Math.max(GemmFloat.SCRATCH_BYTES, IntegerTiles.SCRATCH_BYTES);

    /** Rows from which tiles pay although their kernels may not be compiled yet. */
    private static final int MANY_ROWS = 32;
    /** Calls after which the kernels of single rows are compiled, and those of tiles may be. */
    private static final int WARM_CALLS = 1_000;

    private final WorkerPool pool;
    private final ActivationType activations;
    private final IntegerRows integers = new IntegerRows();
    private final HostMemory scratch;
    private int calls;

    LinearKernels(WorkerPool pool, ActivationType activations) {
        this.pool = pool;
        this.activations = activations;
        this.scratch = HostMemory.allocate((long) SCRATCH_BYTES * pool.size());
    }

    /** One projection with its addresses. */
    private record Job(PackedMatrix matrix, boolean quantized, long bias, long out, OutputType type, int firstTask) {}

    /** Rows from {@code first} on; results go to the rows of the same numbers, and are FP32 where that is not 0. */
    void linear(Buffer x, int first, int rows, Projection... projections) {
        int columns = projections[0].weight().columns();
        long in = ((HostBuffer) x).address() + (long) first * columns * Float.BYTES;
        Job[] jobs = new Job[projections.length];
        int panelsPerTask = rows == 1 ? GEMV_PANELS : 2;
        int blocks = (rows + ROW_BLOCK - 1) / ROW_BLOCK;
        int tasks = 0;
        boolean quantize = false;
        for (int i = 0; i < jobs.length; i++) {
            Job job = job(projections[i], first, tasks);
            jobs[i] = job;
            quantize |= job.quantized;
            tasks += (job.matrix.panels() + panelsPerTask - 1) / panelsPerTask * blocks;
        }
        if (quantize) {
            quantize(in, rows, columns);
        }
        // A first short prompt goes row by row: the same bits, and half as much to compile before the first token.
        boolean tiles = rows >= MANY_ROWS || calls++ > WARM_CALLS;
        pool.run(tasks, (index, worker) -> {
            int j = jobs.length - 1;
            while (jobs[j].firstTask > index) {
                j--;
            }
            run(
                    jobs[j],
                    index - jobs[j].firstTask,
                    panelsPerTask,
                    in,
                    rows,
                    tiles,
                    scratch.address() + (long) worker * SCRATCH_BYTES);
        });
    }

    private Job job(Projection projection, int first, int firstTask) {
        PackedMatrix matrix = HostWeight.matrixOf(projection.weight());
        WeightLayout.Element element = matrix.layout().element();
        Buffer bias = projection.bias();
        return new Job(
                matrix,
                element.quantized() && activations.integers(),
                bias == null ? 0 : ((HostBuffer) bias).address(),
                ((HostBuffer) projection.out()).address() + (long) first * matrix.rows() * Float.BYTES,
                projection.type(),
                firstTask);
    }

    private void quantize(long in, int rows, int columns) {
        integers.reserve(rows, columns);
        int perTask = rows == 1 ? 1 : 8;
        pool.run((rows + perTask - 1) / perTask, (task, worker) -> {
            for (int row = task * perTask; row < Math.min(rows, (task + 1) * perTask); row++) {
                QuantizeRows.pairs(
                        in + (long) row * columns * 4,
                        columns,
                        activations == ActivationType.INT8_ROW,
                        integers.words(row),
                        integers.scales(row),
                        integers.sums(row),
                        integers.sums16(row),
                        scratch.address() + (long) worker * SCRATCH_BYTES);
            }
        });
    }

    /** Tasks go panel by panel within a block of rows, so that neighbors share the block's activations. */
    private void run(Job job, int task, int panelsPerTask, long in, int rows, boolean tiles, long tile) {
        int panelTasks = (job.matrix.panels() + panelsPerTask - 1) / panelsPerTask;
        int firstRow = task / panelTasks * ROW_BLOCK;
        int lastRow = Math.min(rows, firstRow + ROW_BLOCK);
        int firstPanel = task % panelTasks * panelsPerTask;
        int lastPanel = Math.min(job.matrix.panels(), firstPanel + panelsPerTask);
        for (int panel = firstPanel; panel < lastPanel; panel++) {
            multiply(job, panel, in, firstRow, lastRow - firstRow, tiles, tile);
            store(job, panel, firstRow, lastRow - firstRow, tile);
        }
    }

    /** A panel by {@code rows} rows: whole tiles, and what is left row by row. */
    private void multiply(Job job, int panel, long in, int row, int rows, boolean tiles, long tile) {
        PackedMatrix matrix = job.matrix;
        long scratch = tile + TILE_BYTES;
        int tiled = tiles || !job.quantized ? rows / IntegerTiles.ROWS * IntegerTiles.ROWS : 0;
        if (job.quantized && tiled > 0) {
            IntegerTiles.panel(matrix, panel, integers, row, tiled, scratch, tile);
        }
        long stride = matrix.columns() * 4L;
        for (int r = job.quantized ? tiled : 0; r < rows; ) {
            long out = tile + r * 64L;
            if (!job.quantized) {
                int count = r < tiled ? GemmFloat.ROWS : 1;
                GemmFloat.panel(matrix, panel, in + (row + r) * stride, stride, count, scratch, out);
                r += count;
                continue;
            }
            if (matrix.layout().element() == WeightLayout.Element.INT4) {
                GemvInt4.panel(matrix, panel, integers, row + r, scratch, out);
            } else {
                GemvInt8.panel(matrix, panel, integers, row + r, scratch, out);
            }
            r++;
        }
    }

    /** Copies a tile of rows × 16 results to the output, with the bias added. */
    private static void store(Job job, int panel, int row, int rows, long tile) {
        PackedMatrix matrix = job.matrix;
        int first = panel * PackedMatrix.PANEL;
        int width = Math.min(PackedMatrix.PANEL, matrix.rows() - first);
        for (int r = 0; r < rows; r++) {
            long target = job.out + ((long) (row + r) * matrix.rows() + first) * job.type.bytes();
            if (width == PackedMatrix.PANEL && job.bias == 0 && job.type == OutputType.F32) {
                for (long at = 0; at < 64; at += Lanes.BYTES) {
                    Lanes.store(Lanes.floats(tile + r * 64L + at), target + at);
                }
                continue;
            }
            for (int n = 0; n < width; n++) {
                float value = Lanes.get(tile + r * 64L + n * 4L);
                float result = job.bias == 0 ? value : value + Lanes.get(job.bias + (first + n) * 4L);
                if (job.type == OutputType.F32) {
                    Lanes.set(target + n * 4L, result);
                } else {
                    Lanes.MEMORY.set(JAVA_SHORT_UNALIGNED, target + n * 2L, job.type.narrow(result));
                }
            }
        }
    }

    @Override
    public void close() {
        integers.close();
        scratch.close();
    }
}
