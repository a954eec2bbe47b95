package dev.demitasse.cuda;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Projection;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.gpu.GpuWeight;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Times every form of multiplications of usual sizes, over copies of a matrix that no cache holds, and keeps the
 * quickest. A form whose results are not those of the rules', bit by bit, is left out, and said so.
 */
final class Tuning {
    /** Bytes of all copies of a matrix: more than a second-level cache. */
    static final long COLD_BYTES = 160L << 20;

    private static final int RUNS = 5;
    private static final int COMPARED = 1 << 16; // results

    /** What is not quicker than this part of the rules' time is left to them. */
    private static final double WORTH = 0.97;

    /** A form that takes so much longer than the best at first is not timed again. */
    private static final double HOPELESS = 1.5;

    /** Outputs and columns. */
    record Size(int outputs, int columns) {}

    /** Weights as they are multiplied. */
    private record Kind(WeightLayout layout, TensorType type, ActivationType activations) {}

    private static final List<Kind> KINDS = List.of(
            new Kind(WeightLayout.int4(32), TensorType.Q4_0, ActivationType.INT8),
            new Kind(WeightLayout.int8(32), TensorType.Q8_0, ActivationType.INT8),
            new Kind(WeightLayout.int8(WeightLayout.ROW), TensorType.Q8_0, ActivationType.INT8_ROW));

    /** Sizes of models of 1 to 8 billion weights. */
    static final List<Size> SIZES = List.of(
            new Size(2048, 2048),
            new Size(8192, 2048),
            new Size(2048, 8192),
            new Size(4096, 4096),
            new Size(6144, 4096),
            new Size(14336, 4096),
            new Size(4096, 14336));

    static final List<Integer> ROWS = List.of(12, 24, 48, 96, 192, 512, 2048);

    private final DeviceOptions options;
    private final Driver.Gpu gpu;
    private final long coldBytes;
    private final Consumer<String> report;
    private final List<KernelChoice.Line> lines = new ArrayList<>();
    private int better;

    /**
     * A tuning that has measured nothing.
     *
     * @param coldBytes bytes of all copies of a matrix
     */
    Tuning(DeviceOptions options, Driver.Gpu gpu, long coldBytes, Consumer<String> report) {
        this.coldBytes = coldBytes;
        this.options = options;
        this.gpu = gpu;
        this.report = report;
    }

    /** Measures, and writes the quickest forms to the GPU's file ({@link KernelChoice#file}). */
    void run(List<Size> sizes, List<Integer> rows) {
        for (Kind kind : KINDS) {
            KernelChoice choice = new KernelChoice(List.of());
            try (CudaDevice device = CudaDevice.open(options.withActivations(kind.activations), gpu, choice)) {
                for (Size size : sizes) {
                    measure(device, choice, kind, size, rows);
                }
            }
        }
        Path file = KernelChoice.file(gpu);
        write(file);
        report.accept(
                better + " of " + lines.size() + " are quicker in another form than by the rules; kept in " + file);
    }

    private void write(Path file) {
        try {
            Files.createDirectories(file.getParent());
            Path part = Files.createTempFile(file.getParent(), "tune", ".part");
            Files.write(
                    part,
                    Stream.concat(Stream.of(KernelChoice.HEADER), lines.stream().map(KernelChoice.Line::toString))
                            .toList());
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new UncheckedIOException("cuda: what was measured cannot be kept in " + file, e);
        }
    }

    private void measure(CudaDevice device, KernelChoice choice, Kind kind, Size size, List<Integer> rows) {
        List<LinearWeight> copies = new ArrayList<>();
        int most = rows.stream().mapToInt(i -> i).max().orElseThrow();
        try (Arena arena = Arena.ofShared(); // several threads pack it
                Buffer x = device.upload(numbers(most * size.columns));
                Buffer out = device.allocate((long) most * size.outputs * Float.BYTES)) {
            MatrixSource source = matrix(kind.type, size, arena);
            int count = (int) Math.max(2, coldBytes / source.data().byteSize());
            for (int i = 0; i < count; i++) {
                copies.add(device.upload(source, kind.layout));
            }
            for (int each : rows) {
                measure(device, choice, copies, each, x, out);
            }
        } catch (OutOfDeviceMemoryException e) {
            report.accept(kind.layout + ", " + size.outputs + " × " + size.columns + ": left out: " + e.getMessage());
        } finally {
            copies.forEach(LinearWeight::close);
        }
    }

    /** A form and its time, for a launch. */
    private record Timed(KernelChoice.Form form, double microseconds) {}

    private void measure(
            CudaDevice device, KernelChoice choice, List<LinearWeight> copies, int rows, Buffer x, Buffer out) {
        GpuWeight first = (GpuWeight) copies.getFirst();
        KernelTable.Multiplication m = device.multiplication(first, rows);
        if (!m.takesForms()) {
            return;
        }
        Runnable multiplications = () ->
                copies.forEach(weight -> device.linear(x, rows, new Projection(weight, null, out, OutputType.F32)));
        List<Timed> times = new ArrayList<>();
        KernelChoice.Form ruled = m.ruled();
        float[] expected = new float[0];
        List<KernelChoice.Form> forms = new ArrayList<>(List.of(ruled));
        KernelChoice.Form.ALL.stream()
                .filter(form -> !form.equals(ruled) && m.isPossible(form))
                .forEach(forms::add);
        double best = Double.POSITIVE_INFINITY;
        for (KernelChoice.Form form : forms) {
            choice.force(form);
            device.forgetLaunches();
            multiplications.run(); // loads the kernels
            float[] actual = new float[(int) Math.min(COMPARED, (long) rows * first.rows())];
            out.read(0, MemorySegment.ofArray(actual));
            if (form.equals(ruled)) {
                expected = actual;
            } else if (Arrays.mismatch(expected, actual) >= 0) {
                report.accept(m.weights() + ", " + rows + " rows: " + form + " gives other results; left out");
                continue;
            }
            device.microseconds(multiplications); // makes the graph
            double microseconds = device.microseconds(multiplications) / copies.size();
            if (microseconds < HOPELESS * best) {
                double[] more = new double[RUNS];
                for (int i = 0; i < RUNS; i++) {
                    more[i] = device.microseconds(multiplications) / copies.size();
                }
                Arrays.sort(more);
                microseconds = more[RUNS / 2];
            }
            best = Math.min(best, microseconds);
            times.add(new Timed(form, microseconds));
        }
        choose(m, times);
    }

    private void choose(KernelTable.Multiplication m, List<Timed> times) {
        Timed ruled = times.getFirst();
        Timed best = ruled;
        for (Timed each : times) {
            best = each.microseconds < best.microseconds ? each : best;
        }
        boolean worth = best.microseconds < WORTH * ruled.microseconds;
        Timed kept = worth ? best : ruled;
        better += worth ? 1 : 0;
        lines.add(new KernelChoice.Line(
                gpu.number(),
                gpu.multiprocessors(),
                m.weights(),
                m.rows(),
                m.outputs(),
                m.columns(),
                kept.form,
                kept.microseconds));
        report.accept(String.format(
                Locale.ROOT,
                "%-8s %5d rows, %5d × %5d: %s %.1f us%s",
                m.weights(),
                m.rows(),
                m.outputs(),
                m.columns(),
                kept.form,
                kept.microseconds,
                worth ? String.format(Locale.ROOT, ", %s was %.1f us", ruled.form, ruled.microseconds) : ""));
    }

    /** Normal numbers, of which some thousand come again. */
    private static float[] numbers(int count) {
        SplittableRandom random = new SplittableRandom(1);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = i < 4099 ? (float) random.nextGaussian() : values[i - 4099];
        }
        return values;
    }

    /** A matrix of random integers whose scales are 0.1. */
    private static MatrixSource matrix(TensorType type, Size size, Arena arena) {
        long blockBytes = type.rowBytes(type.blockElements());
        byte[] some = new byte[(int) blockBytes * 4099];
        new SplittableRandom(2).nextBytes(some);
        for (int block = 0; block < 4099; block++) {
            some[(int) (block * blockBytes)] = 0x66; // FP16 0x2E66, which comes first
            some[(int) (block * blockBytes) + 1] = 0x2E;
        }
        MemorySegment data = arena.allocate(type.rowBytes(size.columns) * size.outputs);
        for (long at = 0; at < data.byteSize(); at += some.length) {
            long count = Math.min(some.length, data.byteSize() - at);
            MemorySegment.copy(MemorySegment.ofArray(some), 0, data, at, count);
        }
        return new MatrixSource("tune", type, size.outputs, size.columns, data);
    }
}
