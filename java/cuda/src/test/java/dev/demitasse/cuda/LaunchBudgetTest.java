package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.TokenIds;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gpu.Fusions;
import dev.demitasse.gpu.Step;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Transformer;
import dev.demitasse.model.Weights;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import dev.demitasse.testkit.BoundaryGenerator;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;

/**
 * What steps of large models launch on a GPU like an H200: every kernel with its grid, and what it moves and computes,
 * equals {@code cuda/budgets/launches.tsv}. No kernel runs: the build sets the emulator so for this class. What is
 * found is left in {@code target/launches.tsv}, from where {@code ci/cuda_budget.py --write} takes a new budget.
 */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class LaunchBudgetTest {
    private static final String HEADER = "model\tstep\tcount\tkernel\tx\ty\tz\tthreads\tshared\tbytes\toperations";
    private static final int CHUNK = 512; // rows of a prompt in a step

    /** A model as it is run. {@code forced} is a layout of all matrices, or null for the file's own. */
    private record Model(
            MockModel.Shape shape,
            TensorType type,
            ActivationType activations,
            @Nullable WeightLayout forced) {
        @Override
        public String toString() {
            return shape.name() + " " + (forced == null ? type : "W8A8");
        }
    }

    /**
     * A step.
     *
     * @param sequences that each get a token
     * @param position of it
     * @param rows of one sequence, from position 0 on, instead; or 0
     */
    private record Work(String name, int sequences, int position, int rows) {}

    private static final List<Model> MODELS = List.of(
            new Model(MockModel.LLAMA_8B, TensorType.Q4_0, ActivationType.INT8, null),
            new Model(MockModel.LLAMA_8B, TensorType.Q8_0, ActivationType.INT8, null),
            new Model(
                    MockModel.LLAMA_8B, TensorType.Q8_0, ActivationType.INT8_ROW, WeightLayout.int8(WeightLayout.ROW)),
            new Model(MockModel.LLAMA_1B, TensorType.Q4_0, ActivationType.INT8, null),
            new Model(MockModel.LLAMA_1B, TensorType.Q8_0, ActivationType.INT8, null),
            new Model(MockModel.GPT_OSS_20B, TensorType.MXFP4, ActivationType.INT8, null),
            new Model(MockModel.QWEN35_35B, TensorType.Q4_0, ActivationType.INT8, null));

    private static final List<Work> STEPS = List.of(
            new Work("decode 1 at 1", 1, 1, 0),
            new Work("decode 1 at 2048", 1, 2048, 0),
            new Work("decode 8 at 2048", 8, 2048, 0),
            new Work("decode 32 at 2048", 32, 2048, 0),
            new Work("prefill 512", 1, 0, CHUNK));

    @Test
    void stepsLaunchWhatTheBudgetSays(@TempDir Path folder) throws IOException {
        List<String> lines = new ArrayList<>(List.of(HEADER));
        for (Model model : MODELS) {
            lines.addAll(launches(model, folder));
        }
        Path budget = BoundaryGenerator.source("cuda/budgets/launches.tsv");
        Files.write(BoundaryGenerator.source("java/cuda/target/launches.tsv"), lines);
        assertThat(lines)
                .as("launches; after a change for the better: ci/cuda_budget.py --write")
                .isEqualTo(Files.readAllLines(budget));
    }

    private static List<String> launches(Model model, Path folder) throws IOException {
        DeviceOptions options = DeviceOptions.defaults().withActivations(model.activations);
        List<String> lines = new ArrayList<>();
        try (Arena arena = Arena.ofShared();
                CudaDevice device = (CudaDevice) new CudaBackend().open(options);
                Lowering lowering = new Lowering(model.activations)) {
            Gguf file = MockModel.file(model.shape, model.type, Files.createTempDirectory(folder, "m"), arena);
            ModelConfig config = MockModel.config(file, model.shape, 4096);
            try (Weights weights = MockModel.weights(file, config, device, model.forced);
                    Transformer transformer = new Transformer(
                            config, weights, device, new Transformer.Room(CHUNK, 4096, 1, false, true))) {
                List<KvStore> stores = new ArrayList<>(); // which the device frees
                for (ModelConfig.KvLayers heads : config.caches()) {
                    stores.add(device.allocateKv(
                            new KvShape(heads.layers(), heads.kvHeads(), heads.headDim(), 1, KvType.F16)));
                }
                transformer.forward(
                        new TokenIds.Given(new int[1]),
                        batch(STEPS.get(1)),
                        stores,
                        new int[0],
                        (first, count, logits) -> {});
                for (Work work : STEPS) { // after the writing of norms and angles, which has run now
                    run(device, transformer, stores, work, lowering)
                            .forEach((row, count) -> lines.add(model + "\t" + work.name + "\t" + count + "\t" + row));
                }
            }
        }
        return lines;
    }

    /** Runs a step, and counts its launches by what they are; as many as the device has started. */
    private static Map<String, Integer> run(
            CudaDevice device, Transformer transformer, List<KvStore> stores, Work work, Lowering lowering) {
        BatchRows batch = batch(work);
        int rows = batch.count();
        int[] wanted = work.rows == 0 ? IntStream.range(0, rows).toArray() : new int[] {rows - 1};
        StepCost cost = new StepCost(batch, work.rows > 0);
        Map<String, Integer> found = new LinkedHashMap<>();
        int before = device.started();
        transformer.forward(new TokenIds.Given(new int[rows]), batch, stores, wanted, (first, count, logits) -> {
            List<Step> recorded = new ArrayList<>(device.waiting());
            int vocabulary = transformer.config().vocabulary();
            recorded.add(new Step.Sample(0, vocabulary, count, 0, 0, 0));
            lowering.lower(recorded, cost).forEach(row -> found.merge(row, 1, Integer::sum));
            device.sample(logits, vocabulary, Collections.nCopies(count, Draw.GREEDY), new int[count]);
        });
        assertThat(found.values().stream().mapToInt(i -> i).sum())
                .as("launches of " + work)
                .isEqualTo(device.started() - before);
        return found;
    }

    /** The rows of a step. Their pages are all the same one, which no kernel reads. */
    private static BatchRows batch(Work work) {
        int rows = work.rows == 0 ? work.sequences : work.rows;
        int[] positions = IntStream.range(0, rows)
                .map(row -> work.rows == 0 ? work.position : row)
                .toArray();
        int[][] pages = new int[rows][];
        for (int row = 0; row < rows; row++) {
            pages[row] = row > 0 && work.rows > 0 ? pages[0] : new int[positions[rows - 1] / KvShape.PAGE + 1];
        }
        return new BatchRows(rows, positions, pages);
    }

    /** Steps to launches as the device makes them, and to lines of the budget. */
    private static final class Lowering implements AutoCloseable {
        private final CudaContext context;
        private final StepLaunches launches;

        Lowering(ActivationType activations) {
            Driver.Gpu gpu = Driver.gpus().getFirst();
            context = new CudaContext(gpu);
            launches = new StepLaunches(
                    context,
                    new KernelModules(true),
                    new KernelTable.Settings(activations, gpu.multiprocessors(), gpu.number(), true, false));
        }

        List<String> lower(List<Step> recorded, StepCost cost) {
            recorded.forEach(launches::reserve);
            List<String> rows = new ArrayList<>();
            for (Step step : Fusions.apply(recorded)) {
                List<Launch> list = launches.lower(List.of(step));
                List<StepCost.Cost> costs = cost.of(step, list);
                for (int i = 0; i < list.size(); i++) {
                    rows.add(row(list.get(i)) + "\t" + costs.get(i).bytes() + "\t"
                            + costs.get(i).operations());
                }
            }
            return rows;
        }

        private static String row(Launch launch) {
            return switch (launch) {
                case Launch.Kernel kernel -> {
                    Launch.Grid grid = kernel.grid();
                    yield kernel.kernel() + "\t" + grid.x() + "\t" + grid.y() + "\t" + grid.z() + "\t" + grid.threads()
                            + "\t" + grid.sharedBytes();
                }
                case Launch.Copy copy -> "copy\t0\t0\t0\t0\t0";
                case Launch.Call call -> "library\t0\t0\t0\t0\t0";
            };
        }

        @Override
        public void close() {
            launches.close();
            context.close();
        }
    }
}
