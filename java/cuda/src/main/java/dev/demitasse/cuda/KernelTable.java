package dev.demitasse.cuda;

import dev.demitasse.cuda.KernelNames.Cache;
import dev.demitasse.cuda.KernelNames.Dense;
import dev.demitasse.cuda.KernelNames.GroupedForm;
import dev.demitasse.cuda.KernelNames.Packed;
import dev.demitasse.device.ActivationType;
import dev.demitasse.gpu.GpuElement;
import dev.demitasse.gpu.WeightTiles;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Which kernel takes which work: a table, and the rules by which {@code linear} chooses among them. */
final class KernelTable {
    private static final Packed INT4_PER16 = new Packed("int4_per16", "linear_finish", null);
    private static final Packed INT4_PER32 = new Packed("int4_per32", "linear_finish", null);
    private static final Packed INT4_PER_ROW = new Packed("int4_per_row", "linear_finish_int4_per_row", null);
    private static final Packed LEVELS_PER16 = new Packed("levels_per16", "linear_finish", null);
    private static final Packed LEVELS_PER32 = new Packed("levels_per32", "linear_finish", null);
    private static final Packed INT8_PER16 = new Packed("int8_per16", "linear_finish", null);
    private static final Packed INT8_PER32 = new Packed("int8_per32", "linear_finish", null);
    private static final Packed INT8_PER_ROW =
            new Packed("int8_per_row", "linear_finish_int8_per_row", "gemm_int8_per_row_wgmma");

    private static final Dense F32 = new Dense("f32");
    private static final Dense F16 = new Dense("f16");
    private static final Dense BF16 = new Dense("bf16");

    private static final String FP16_WGMMA = "gemm_f16_wgmma";

    /** The names of all kernels of matrices and caches. */
    static Set<String> names() {
        Set<String> all = new TreeSet<>();
        Stream.of(
                        INT4_PER16,
                        INT4_PER32,
                        INT4_PER_ROW,
                        LEVELS_PER16,
                        LEVELS_PER32,
                        INT8_PER16,
                        INT8_PER32,
                        INT8_PER_ROW)
                .forEach(kernels -> kernels.names().forEach(all::add));
        Stream.of(F32, F16, BF16).forEach(kernels -> kernels.names().forEach(all::add));
        for (KvType type : KvType.values()) {
            cache(type).names().forEach(all::add);
        }
        all.add(FP16_WGMMA);
        return all;
    }

    /**
     * Rows from which dense weights are multiplied in tiles, whose sums are in another order than those of few rows.
     */
    static final int DENSE_TILE_ROWS = 16;

    /** Rows up to which columns may be divided: segments leave their sums in memory. */
    private static final int MOST_DIVIDED_ROWS = 512;

    /** Rows from which a block of wgmma, twice 128, is not mostly empty. */
    private static final int WGMMA_LEAST_ROWS = 64;

    /**
     * Rows beyond which integer weights are worth an FP16 copy a call: on an H100 the copy of 14336 x 4096 INT4 takes
     * as long as half of a multiplication by 128 rows, and 512 rows are 1.7 times as fast (cuda/results).
     */
    static final int FP16_LEAST_ROWS = 128;

    /** Bytes of such a copy, at most: matrices of vocabularies, which have few rows to multiply, are larger. */
    private static final long FP16_MOST_BYTES = 256L << 20;

    private static final String CUBLAS = "cuBLAS";

    private KernelTable() {}

    /**
     * What decides for all matrices of a device.
     *
     * @param activations how integer weights meet their input
     * @param multiprocessors of the GPU
     * @param capability of the GPU, 80 for 8.0
     * @param wgmma whether many rows are multiplied by wgmma where that is possible
     * @param batchInvariant whether a row's sums may not depend on the number of rows
     * @param choice what was measured
     */
    record Settings(
            ActivationType activations,
            int multiprocessors,
            int capability,
            boolean wgmma,
            boolean batchInvariant,
            KernelChoice choice) {
        /** The rules alone. */
        Settings(
                ActivationType activations,
                int multiprocessors,
                int capability,
                boolean wgmma,
                boolean batchInvariant) {
            this(activations, multiprocessors, capability, wgmma, batchInvariant, KernelChoice.NONE);
        }
    }

    /**
     * A multiplication: what decides which kernel takes it.
     *
     * @param layout of the weights
     * @param element how they are stored
     * @param group columns that share a scale on the device: 16, 32, or 0 for a row
     * @param outputs of the weights
     * @param tiles of a row of integers
     * @param rows of activations
     * @param cublas whether a library takes dense weights
     */
    record Multiplication(
            Settings settings,
            WeightLayout layout,
            GpuElement element,
            int group,
            int outputs,
            int tiles,
            int rows,
            boolean cublas) {
        /** The same of another number of rows. */
        Multiplication withRows(int count) {
            return new Multiplication(settings, layout, element, group, outputs, tiles, count, cublas);
        }

        private boolean dense() {
            return !element.quantized();
        }

        private int bits() {
            return element.bits();
        }

        private Packed packed() {
            return switch (element) {
                case LEVELS -> group == 16 ? LEVELS_PER16 : LEVELS_PER32;
                case INT4 -> group == 0 ? INT4_PER_ROW : group == 16 ? INT4_PER16 : INT4_PER32;
                default -> group == 0 ? INT8_PER_ROW : group == 16 ? INT8_PER16 : INT8_PER32;
            };
        }

        private Dense denseKernels() {
            return switch (element) {
                case F16 -> F16;
                case BF16 -> BF16;
                default -> F32;
            };
        }

        /** Columns, with those that fill the last tile. */
        int columns() {
            return tiles * Boundary.tile_columns(bits());
        }

        /** Bits and group of the weights, such as {@code int4/32}: levels are read as INT4 is, and measured with it. */
        String weights() {
            return "int" + bits() + "/" + group;
        }

        /** Whether there are several forms of it, which give the same bits. */
        boolean takesForms() {
            return !dense() && settings.activations.integers() && rows > Boundary.GEMV_ROWS && !takesFp16();
        }

        /** Whether it can be done so. */
        boolean isPossible(KernelChoice.Form form) {
            return form.equals(KernelChoice.Form.WGMMA)
                    ? settings.wgmma && packed().wgmma() != null && !layout.minimum() && outputs % 2 == 0
                    : !form.divided() || (rows <= MOST_DIVIDED_ROWS && Boundary.row_segments(tiles) > 1);
        }

        /** The form by the rules: wgmma where its blocks are not mostly empty, else the tile that fits. */
        KernelChoice.Form ruled() {
            if (rows > WGMMA_LEAST_ROWS && isPossible(KernelChoice.Form.WGMMA)) {
                return KernelChoice.Form.WGMMA;
            }
            int tileRows = Boundary.gemm_rows(rows);
            long blocks = (long) pieces(outputs, Boundary.gemm_outputs(group, tileRows)) * pieces(rows, tileRows);
            KernelChoice.Form divided = new KernelChoice.Form(tileRows, true);
            return blocks < settings.multiprocessors && isPossible(divided)
                    ? divided
                    : new KernelChoice.Form(tileRows, false);
        }

        /** The form: the measured one, else that by the rules. */
        private KernelChoice.Form form() {
            KernelChoice.Form measured = settings.batchInvariant ? null : settings.choice.find(this);
            return measured != null && isPossible(measured) ? measured : ruled();
        }

        /**
         * Whether weights whose scales are of groups, and activations, are converted to FP16 and multiplied so: a
         * row's result is then another than among few rows.
         */
        boolean takesFp16() {
            return settings.wgmma
                    && !settings.batchInvariant
                    && settings.activations == ActivationType.INT8
                    && rows > FP16_LEAST_ROWS
                    && !dense()
                    && group != 0
                    && outputs % 2 == 0
                    && Fp16Operands.bytes(outputs, tiles * Boundary.tile_columns(bits())) <= FP16_MOST_BYTES;
        }

        /** Segments of the columns, where they are divided; else 1. */
        int segments() {
            return takesForms() && form().divided() ? Boundary.row_segments(tiles) : 1;
        }
    }

    /**
     * A kernel and its blocks.
     *
     * @param shared whether matrices of the same input may share its launch
     * @param repeats whether a block may take several pieces of outputs
     * @param finish the kernel that adds up the sums of segments, where the grid has several
     */
    record Choice(String kernel, Launch.Grid grid, boolean shared, boolean repeats, String finish) {
        Choice(String kernel, Launch.Grid grid, boolean shared, boolean repeats) {
            this(kernel, grid, shared, repeats, "");
        }

        /** Whether a library does it. */
        boolean isCublas() {
            return kernel.equals(CUBLAS);
        }

        /** Whether both operands are converted to FP16 before. */
        boolean isFp16() {
            return kernel.equals(FP16_WGMMA);
        }
    }

    /** A line of the table: the first whose condition is true takes the multiplication. */
    private record Rule(String condition, Predicate<Multiplication> applies, Chooser chooser) {}

    private interface Chooser {
        Choice choose(Multiplication m);
    }

    private static final List<Rule> RULES = List.of(
            new Rule(
                    "dense weights, fewer than " + DENSE_TILE_ROWS
                            + " rows, or any number where the batch may not matter",
                    m -> m.dense() && (m.rows < DENSE_TILE_ROWS || m.settings.batchInvariant),
                    KernelTable::denseRows),
            new Rule(
                    "dense weights, where cuBLAS is installed",
                    m -> m.dense() && m.cublas,
                    m -> new Choice(CUBLAS, Launch.Grid.of(0, 0), false, false)),
            new Rule("dense weights", Multiplication::dense, KernelTable::denseTiles),
            new Rule("FP32 activations", m -> !m.settings.activations.integers(), KernelTable::exactRows),
            new Rule("few rows: bound by reading weights", m -> m.rows <= Boundary.GEMV_ROWS, KernelTable::fewRows),
            new Rule(
                    "many rows by weights with scales of groups on compute capability 9.0, where the batch may matter",
                    Multiplication::takesFp16,
                    m -> wgmma(m, FP16_WGMMA)),
            new Rule(
                    "whole rows of INT8 on compute capability 9.0, by the rows or where it was measured",
                    m -> m.form().equals(KernelChoice.Form.WGMMA),
                    m -> wgmma(m, m.packed().wgmma())),
            new Rule("tensor cores, in tiles by the rows or as it was measured", m -> true, KernelTable::tiles));

    /** The kernel of a multiplication. */
    static Choice choose(Multiplication m) {
        return RULES.stream()
                .filter(rule -> rule.applies.test(m))
                .findFirst()
                .orElseThrow()
                .chooser
                .choose(m);
    }

    private static Choice denseRows(Multiplication m) {
        Dense kernels = m.denseKernels();
        int each = Boundary.float_gemv_rows(m.rows);
        Launch.Grid grid = new Launch.Grid(
                pieces(m.outputs, Boundary.FLOAT_GEMV_OUTPUTS),
                pieces(m.rows, each),
                1,
                Boundary.FLOAT_GEMV_THREADS,
                0);
        return new Choice(kernels.rows(m.rows), grid, false, false);
    }

    private static Choice denseTiles(Multiplication m) {
        Dense kernels = m.denseKernels();
        int edge = Boundary.float_gemm_edge(m.rows);
        Launch.Grid grid =
                new Launch.Grid(pieces(m.outputs, edge), pieces(m.rows, edge), 1, Boundary.FLOAT_GEMM_THREADS, 0);
        return new Choice(kernels.tiles(edge), grid, false, false);
    }

    private static Choice exactRows(Multiplication m) {
        Packed kernels = m.packed();
        int each = Boundary.exact_gemv_rows(m.rows);
        Launch.Grid grid = new Launch.Grid(
                pieces(m.outputs, Boundary.EXACT_GEMV_OUTPUTS),
                pieces(m.rows, each),
                1,
                Boundary.GEMV_THREADS,
                Boundary.EXACT_GEMV_SHARED_BYTES);
        return new Choice(kernels.exactRows(m.rows), grid, true, true);
    }

    private static Choice fewRows(Multiplication m) {
        Packed kernels = m.packed();
        Launch.Grid grid = new Launch.Grid(
                pieces(m.outputs, Boundary.GEMV_OUTPUTS),
                1,
                1,
                Boundary.GEMV_THREADS,
                Boundary.gemv_shared_bytes(m.settings.capability));
        return new Choice(kernels.rows(m.rows), grid, true, true);
    }

    private static Choice wgmma(Multiplication m, @Nullable String kernel) {
        int cluster = Boundary.WGMMA_CLUSTER;
        int units = pieces(m.rows, cluster * Boundary.WGMMA_ROWS) * pieces(m.outputs, Boundary.WGMMA_OUTPUTS);
        int blocks = Math.max(1, Math.min(units, m.settings.multiprocessors / cluster)) * cluster;
        Launch.Grid grid = new Launch.Grid(blocks, 1, 1, Boundary.WGMMA_THREADS, Boundary.WGMMA_BYTES);
        return new Choice(kernel == null ? "" : kernel, grid, false, false);
    }

    private static Choice tiles(Multiplication m) {
        int rows = m.form().tileRows();
        Launch.Grid grid = new Launch.Grid(
                pieces(m.outputs, Boundary.gemm_outputs(m.group, rows)),
                pieces(m.rows, rows),
                m.segments(),
                Boundary.gemm_threads(rows),
                Boundary.gemm_shared_bytes(m.bits(), m.group, rows));
        return new Choice(m.packed().tiles(rows), grid, true, false, m.packed().finish());
    }

    /**
     * The kernel of rows of groups, and its blocks for a matrix.
     *
     * @param m of one group's matrix
     * @param tiles of rows
     * @param tileRows of a tile, at most
     * @param integers whether activations are integers
     */
    static Choice grouped(Multiplication m, int tiles, int tileRows, boolean integers) {
        if (m.dense()) {
            int blocks = pieces(m.outputs, Boundary.FLOAT_GEMV_OUTPUTS);
            int each = pieces(tileRows, Boundary.FLOAT_GEMV_ROWS);
            Launch.Grid grid = new Launch.Grid(blocks, tiles, each, Boundary.FLOAT_GEMV_THREADS, 0);
            return new Choice(m.denseKernels().grouped(), grid, false, false);
        }
        if (!integers) {
            int blocks = pieces(m.outputs, Boundary.EXACT_GEMV_OUTPUTS);
            int each = pieces(tileRows, Boundary.EXACT_GEMV_ROWS);
            Launch.Grid grid =
                    new Launch.Grid(blocks, tiles, each, Boundary.GEMV_THREADS, Boundary.EXACT_GEMV_SHARED_BYTES);
            return new Choice(m.packed().grouped(GroupedForm.EXACT), grid, true, true);
        }
        if (tileRows <= Boundary.GROUPED_ROWS) {
            int blocks = pieces(m.outputs, Boundary.GEMV_OUTPUTS);
            int shared = Boundary.gemv_shared_bytes(m.settings.capability);
            Launch.Grid grid = new Launch.Grid(blocks, tiles, 1, Boundary.GEMV_THREADS, shared);
            return new Choice(m.packed().grouped(GroupedForm.ROWS), grid, true, true);
        }
        Launch.Grid grid = new Launch.Grid(
                pieces(m.outputs, Boundary.gemm_outputs(m.group, tileRows)),
                tiles,
                1,
                Boundary.gemm_threads(tileRows),
                Boundary.gemm_shared_bytes(m.bits(), m.group, tileRows));
        return new Choice(m.packed().grouped(GroupedForm.TILES), grid, true, false);
    }

    private static Cache cache(KvType type) {
        return new Cache(type.name().toLowerCase(Locale.ROOT), type == KvType.F32);
    }

    /** The kernel that stores keys and values. */
    static String append(KvType type) {
        return cache(type).append();
    }

    /** The kernel of decode attention over heads of {@code dim} elements, of which a KV head has {@code queryHeads}. */
    static String decode(KvType type, int dim, int queryHeads) {
        return cache(type).decode(dim, queryHeads);
    }

    /** The kernel of prefill attention over heads of {@code dim} elements. */
    static String prefill(KvType type, int dim) {
        return cache(type).prefill(dim);
    }

    /** Pieces of {@code size} that hold {@code count}. */
    static int pieces(long count, int size) {
        return Math.toIntExact((count + size - 1) / size);
    }

    /** The rules, and the kernel of every kind of weights by the number of rows, for people. */
    static List<String> describe(Settings settings, boolean cublas) {
        List<String> lines = new ArrayList<>();
        RULES.forEach(rule -> lines.add("rule: " + rule.condition));
        Stream<WeightLayout> layouts = Stream.of(
                WeightLayout.F32,
                WeightLayout.F16,
                WeightLayout.BF16,
                WeightLayout.int8(16),
                WeightLayout.int8(32),
                WeightLayout.int8(WeightLayout.ROW),
                WeightLayout.int4(16),
                WeightLayout.int4(32),
                WeightLayout.int4(WeightLayout.ROW));
        List<Multiplication> examples = new ArrayList<>(
                layouts.map(layout -> example(settings, layout, cublas)).toList());
        for (int group : new int[] {16, 32}) {
            WeightLayout layout = WeightLayout.int8(group);
            examples.add(new Multiplication(settings, layout, GpuElement.LEVELS, group, 4096, 64, 1, false));
        }
        for (Multiplication example : examples) {
            String levels = example.element == GpuElement.LEVELS ? ", of levels:" : ":";
            StringBuilder line = new StringBuilder(example.layout + levels);
            String last = "";
            for (int rows = 1; rows <= 256; rows++) {
                String kernel = choose(example.withRows(rows)).kernel;
                if (!kernel.equals(last)) {
                    line.append(" from ").append(rows).append(' ').append(kernel);
                    last = kernel;
                }
            }
            lines.add(line.toString());
        }
        return lines;
    }

    private static Multiplication example(Settings settings, WeightLayout layout, boolean cublas) {
        boolean perRow = settings.activations == ActivationType.INT8_ROW;
        GpuElement element = GpuElement.of(layout);
        int group = element.quantized() ? WeightTiles.groupOf(layout, perRow) : 0;
        boolean library = cublas && element != GpuElement.BF16;
        return new Multiplication(settings, layout, element, group, 4096, 64, 1, library);
    }
}
