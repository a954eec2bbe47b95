package dev.demitasse.quantize.advise;

import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.ModelShape;
import dev.demitasse.StepTimer;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quantize.QuantizeOptions;
import dev.demitasse.quantize.Quantizer;
import dev.demitasse.quantize.WeightMix;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.Function;

/**
 * Holds predictions against the model: each choice of weights is written to a temporary file, and runs with each cache.
 * A shared machine drifts by more than the predictions should be off, so it goes in rounds: in each the device is
 * measured, and then every model with every load in turn. Both sides are medians of the rounds.
 */
public final class Verification {
    /**
     * Sessions that decode, and tokens before each in the middle of the steps that are timed; all choices' caches lie
     * in memory side by side.
     */
    private static final int[][] STEPS_OF = {
        {1, 64}, {1, 256}, {1, 512}, {1, 1024}, {4, 64}, {4, 512}, {8, 64}, {8, 256}, {8, 512}, {16, 64}, {16, 256}
    };

    private static final int[] PROMPTS = {64, 128, 256, 512};
    private static final int CONTEXT = 1088;
    private static final int ROUNDS = 3;
    /** Until then a processor's caches still find out what to keep. */
    private static final int WARM_STEPS = 20;

    private static final int STEPS = 12;
    /** Steps before the middle of those that are timed. */
    private static final int MIDDLE = WARM_STEPS + STEPS / 2;
    /** A choice is right where what it chose is so near the quickest that a run of the same would be. */
    private static final double TIE = 1.05;

    private final ModelShape shape;
    private final String backend;
    private final DeviceOptions options;
    private final List<Checked> checked = new ArrayList<>();

    /**
     * A prediction and what was measured.
     *
     * @param cell the prediction
     * @param seconds measured
     */
    public record Checked(Cell cell, double seconds) {
        /** {@return how much too long the prediction is; 0.1 for a tenth, below 0 where it is too short} */
        public double error() {
            return cell.time().seconds() / seconds - 1;
        }
    }

    /**
     * All of them.
     *
     * @param cells each prediction with what was measured
     * @param medianError half of the predictions are off by no more
     * @param worstError the largest
     * @param choices comparisons of all weights with the same cache, sessions and tokens
     * @param rightChoices those in which the weights predicted to be the quickest were, within a twentieth
     */
    public record Result(List<Checked> cells, double medianError, double worstError, int choices, int rightChoices) {
        static Result of(List<Checked> cells) {
            double[] errors = cells.stream()
                    .mapToDouble(each -> Math.abs(each.error()))
                    .sorted()
                    .toArray();
            int choices = 0;
            int right = 0;
            for (Checked first : cells) {
                List<Checked> alternatives = cells.stream()
                        .filter(each -> each.cell.isAlternative(first.cell))
                        .toList();
                if (alternatives.getFirst() == first) {
                    choices++;
                    right += isRight(alternatives) ? 1 : 0;
                }
            }
            return new Result(List.copyOf(cells), errors[errors.length / 2], errors[errors.length - 1], choices, right);
        }

        private static boolean isRight(List<Checked> alternatives) {
            double quickest = Double.POSITIVE_INFINITY;
            Checked chosen = alternatives.getFirst();
            for (Checked each : alternatives) {
                quickest = Math.min(quickest, each.seconds);
                if (each.cell.time().seconds() < chosen.cell.time().seconds()) {
                    chosen = each;
                }
            }
            return chosen.seconds <= quickest * TIE;
        }
    }

    private Verification(Path file, String backend, DeviceOptions options) {
        this.backend = backend;
        this.options = options;
        try (Gguf opened = Gguf.open(file)) {
            shape = ModelShape.of(opened);
        }
        if (shape.contextLength() < CONTEXT) {
            throw new UsageException("Verifying takes " + CONTEXT + " positions; the model was trained for "
                    + shape.contextLength() + ".");
        }
    }

    /**
     * Runs all cells, which takes minutes.
     *
     * @param file a model, which is quantized again where it is quantized already: only speed is measured
     * @param backend a backend's name, or {@code auto}
     * @param options how to open the device; activations are as each choice of weights needs them
     * @param listener hears of each cell
     * @return all cells, and how far predictions are off
     * @throws dev.demitasse.exception.OutOfDeviceMemoryException where the choices do not fit side by side
     */
    public static Result run(Path file, String backend, DeviceOptions options, Consumer<Checked> listener) {
        Verification verification = new Verification(file, backend, options);
        try {
            Path folder = Files.createTempDirectory("demitasse-advise");
            try {
                Map<WeightPlan, Path> files = verification.write(file, folder);
                for (KvType cache : Advisor.CACHES) {
                    for (Checked checked : verification.check(files, cache)) {
                        verification.checked.add(checked);
                        listener.accept(checked);
                    }
                }
            } finally {
                delete(folder);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return Result.of(verification.checked);
    }

    private Map<WeightPlan, Path> write(Path file, Path folder) {
        Map<WeightPlan, Path> files = new LinkedHashMap<>();
        try (Gguf opened = Gguf.open(file)) {
            for (WeightMix mix : Advisor.MIXES) {
                Path quantized = folder.resolve(mix + ".gguf");
                Quantizer.quantize(file, quantized, QuantizeOptions.of(mix).withRequantize(true));
                files.put(WeightPlan.of(shape, opened, mix), quantized);
            }
        }
        return files;
    }

    private static void delete(Path folder) throws IOException {
        try (var files = Files.newDirectoryStream(folder)) {
            for (Path left : files) {
                Files.delete(left);
            }
        }
        Files.delete(folder);
    }

    /** A prediction that is to be made in each round, and what it is of. */
    private record Load(Function<Roofline, Cell> prediction, DoubleSupplier run) {}

    /** All models with one type of cache, in turns. */
    private List<Checked> check(Map<WeightPlan, Path> files, KvType cache) {
        try (Resources resources = new Resources()) {
            List<Load> loads = new ArrayList<>();
            files.forEach((plan, path) -> {
                Model model = resources.own(Model.load(path, options(plan, cache)), Model::close);
                addLoads(model.newStepTimer(), plan, cache, resources, loads);
            });
            double[][] measured = new double[loads.size()][ROUNDS];
            Cell[][] predicted = new Cell[loads.size()][ROUNDS];
            for (int round = 0; round < ROUNDS; round++) {
                Roofline roofline = new Roofline(DeviceProbe.measure(backend, options, shape, files.keySet()), shape);
                for (int i = 0; i < measured.length; i++) {
                    predicted[i][round] = loads.get(i).prediction.apply(roofline);
                    measured[i][round] = loads.get(i).run.getAsDouble();
                }
            }
            List<Checked> all = new ArrayList<>();
            for (int i = 0; i < measured.length; i++) {
                Arrays.sort(measured[i]);
                Arrays.sort(
                        predicted[i],
                        Comparator.comparingDouble(cell -> cell.time().seconds()));
                all.add(new Checked(predicted[i][ROUNDS / 2], measured[i][ROUNDS / 2]));
            }
            return all;
        }
    }

    private ModelOptions options(WeightPlan plan, KvType cache) {
        return ModelOptions.DEFAULT
                .withBackend(backend)
                .withDevice(options.withActivations(plan.activations()))
                .withContextLength(CONTEXT)
                .withSequences(sequences() + 1) // beside a prompt
                .withKvType(cache);
    }

    /** How many have room for all sessions; states cannot be cut back, so that those of one step are enough. */
    private int sequences() {
        return shape.states() == null
                ? positions() / CONTEXT + 1
                : Arrays.stream(STEPS_OF).mapToInt(step -> step[0]).max().orElseThrow();
    }

    /** Positions of all sessions side by side, in whole pages, with the steps that are timed. */
    private static int positions() {
        return Arrays.stream(STEPS_OF)
                .mapToInt(step -> step[0] * Math.ceilDiv(step[1] + WARM_STEPS + STEPS + 1, KvShape.PAGE) * KvShape.PAGE)
                .sum();
    }

    private void addLoads(StepTimer timer, WeightPlan plan, KvType cache, Resources resources, List<Load> loads) {
        for (int[] step : STEPS_OF) {
            loads.add(new Load(
                    roofline -> Advisor.decode(roofline, plan, cache, step[0], step[1]),
                    steps(timer, step[0], step[1] - MIDDLE, resources)));
        }
        for (int prompt : PROMPTS) {
            loads.add(new Load(
                    roofline -> Advisor.prefill(roofline, plan, cache, prompt),
                    () -> quartile(timer.prefill(prompt, 1))));
        }
    }

    /** Runs steps of sessions, whose caches stay where a next run can go on from them. */
    private DoubleSupplier steps(StepTimer timer, int count, int depth, Resources resources) {
        if (shape.states() != null) {
            return () -> {
                try (StepTimer.Sessions group = timer.sessions(count, depth)) {
                    return quartile(group.decode(WARM_STEPS, STEPS));
                }
            };
        }
        StepTimer.Sessions group = resources.own(timer.sessions(count, depth), StepTimer.Sessions::close);
        return () -> quartile(group.decode(WARM_STEPS, STEPS));
    }

    private static double quartile(double[] seconds) {
        double[] sorted = seconds.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 4];
    }
}
