package dev.demitasse.quantize.advise;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/** Times {@code linear} with random matrices of one layout: one that caches hold, and as many as a model has. */
final class LinearProbe {
    /** What no product takes less than: a launch that was disturbed may have been timed longer than one. */
    private static final double LEAST_SECONDS = 1e-7;

    private static final int MOST_ROWS = 128;
    private static final double[] ROWS = {1, 2, 4, 8, 16, 32, MOST_ROWS};
    /** Outputs that a thread is given at once, or fewer. */
    private static final int OUTPUTS = 96;
    /** A matrix has at least so many times the outputs of the narrow one beside it. */
    private static final int NARROW = 4;
    /** Which of {@link #ROWS} are several that are multiplied by matrices from memory. */
    private static final int SEVERAL = 3;
    /** Several rows do not read more slowly than this many times one row does: what says so was disturbed. */
    private static final double MOST_EXPOSED = 2;

    /** Weights of a matrix: so many that launches count for little, so few that caches hold them. */
    private static final int WEIGHTS = 1 << 20;
    /** The same where a device runs beside the host: GPUs need a large matrix to be busy. */
    private static final int GPU_WEIGHTS = 1 << 25;
    /** Matrices that come from memory are as many as the model has, up to so many bytes. */
    private static final long COLD_BYTES = 128L << 20;
    /** What processors have at least for it, however little is free. */
    private static final long LEAST_COLD_BYTES = 48L << 20;

    private static final long GPU_COLD_BYTES = 256L << 20;
    /** Of the memory that is free, one layout's copies take at most the SHARE-th part. */
    private static final int SHARE = 32;

    private final Device device;
    private final MatrixSource source;
    private final LinearWeight weight;
    private final Resources resources;
    private final List<Stopwatch.Timing> warm = new ArrayList<>();
    private final List<LinearWeight> many = new ArrayList<>(); // copies
    private int fromMemory; // of them
    private Stopwatch.@Nullable Timing narrow; // MOST_ROWS by a matrix with fewer outputs
    private Stopwatch.@Nullable Timing one; // row by many matrices; null where those take long to make
    private Stopwatch.@Nullable Timing several; // rows by many matrices; null where those take long to make

    /**
     * A matrix of {@code outputs} × {@code columns}.
     *
     * @param resources close what it has of the device
     */
    LinearProbe(Device device, WeightLayout layout, int outputs, int columns, Resources resources) {
        this.device = device;
        this.resources = resources;
        this.source = source(layout, outputs, columns);
        this.weight = upload(source, layout);
    }

    /** A matrix of that many columns, large enough for all threads. */
    static LinearProbe of(Device device, WeightLayout layout, int columns, Resources resources) {
        int outputs = device.runsAhead()
                ? Math.max(1, GPU_WEIGHTS / columns)
                : Math.max(WEIGHTS / columns, NARROW * narrowOutputs(device));
        return new LinearProbe(device, layout, outputs, columns, resources);
    }

    private static int narrowOutputs(Device device) {
        return OUTPUTS * device.threads();
    }

    private LinearWeight upload(MatrixSource matrix, WeightLayout layout) {
        return resources.own(device.upload(matrix, layout), LinearWeight::close);
    }

    /** Takes up products with few rows and many, the matrix in a cache. */
    void time(Stopwatch stopwatch) {
        for (double rows : ROWS) {
            warm.add(time(stopwatch, (int) rows));
        }
        if (!device.runsAhead()) { // beside the host it is done with the operation before
            MatrixSource part = source(weight.layout(), narrowOutputs(device), source.columns());
            narrow = time(stopwatch, List.of(upload(part, weight.layout())), MOST_ROWS);
        }
    }

    /**
     * Takes up products from memory, where such matrices are made quickly.
     *
     * @param all weights of a model
     */
    void timeFromMemory(Stopwatch stopwatch, double all) {
        if (!source.type().layout().equals(weight.layout())) {
            return;
        }
        long share = device.freeBytes() / SHARE;
        double bytes = device.runsAhead()
                ? Math.min(GPU_COLD_BYTES, share)
                : Math.min(all * bytesPerWeight(), Math.clamp(share, LEAST_COLD_BYTES, COLD_BYTES));
        List<LinearWeight> copies = copies((long) Math.max(1, Math.ceil(bytes / weight.bytes())));
        fromMemory = copies.size();
        one = time(stopwatch, copies, 1).steady();
        several = time(stopwatch, copies, (int) ROWS[SEVERAL]).steady();
    }

    /** Takes up a product with that many rows, the matrix in a cache. */
    Stopwatch.Timing time(Stopwatch stopwatch, int rows) {
        return time(stopwatch, List.of(weight), rows);
    }

    /** Takes up a row's products with so many copies, which are read over and over. */
    Stopwatch.Timing timeSteady(Stopwatch stopwatch, long copies) {
        return time(stopwatch, copies(copies), 1).steady();
    }

    private List<LinearWeight> copies(long wanted) {
        int count = Math.toIntExact(wanted);
        while (many.size() < count) {
            many.add(upload(source, weight.layout()));
        }
        return List.copyOf(many.subList(0, count));
    }

    private Stopwatch.Timing time(Stopwatch stopwatch, List<LinearWeight> weights, int rows) {
        Buffer x = resources.own(device.upload(numbers(rows * source.columns())), Buffer::close);
        Buffer out = resources.own(device.allocate((long) rows * source.rows() * Float.BYTES), Buffer::close);
        return stopwatch.add(
                out, () -> weights.forEach(each -> device.linear(x, rows, new Projection(each, null, out))));
    }

    private double weights() {
        return (double) source.rows() * source.columns();
    }

    /** {@return bytes of the matrix} */
    long bytes() {
        return weight.bytes();
    }

    private double bytesPerWeight() {
        return weight.bytes() / weights();
    }

    /** Seconds of a row's product, launch included. */
    double oneRowSeconds() {
        return warm.getFirst().seconds();
    }

    private static boolean isTimed(Stopwatch.@Nullable Timing timing) {
        return timing != null && timing.isTimed();
    }

    /** Seconds for a weight of many matrices. */
    private double seconds(Stopwatch.@Nullable Timing timing, double launch) {
        return Math.max(LEAST_SECONDS, Objects.requireNonNull(timing).seconds() / fromMemory - launch) / weights();
    }

    /** Bytes a second that one row reads: from memory where that was timed. */
    double bandwidth(double launch) {
        double warmSeconds = Math.max(LEAST_SECONDS, oneRowSeconds() - launch);
        return isTimed(one) ? bytesPerWeight() / seconds(one, launch) : weight.bytes() / warmSeconds;
    }

    /** What one row takes of the time for reading: less than 1 where this reads more quickly than was thought. */
    double share(double launch, Curve reading) {
        return isTimed(one) ? Math.min(1, seconds(one, launch) / memory(reading)) : 1;
    }

    /**
     * What was timed, as arithmetic alone. Of one row it is what is left of the time from memory beside reading.
     *
     * @param reading seconds of bytes that are read over and over
     * @param usual {@link #exposed} of other layouts, where nothing was timed from memory
     */
    DeviceProfile.LinearCost cost(double launch, Curve reading, double usual) {
        double input = input(launch);
        double[] costs = costs(launch);
        if (isTimed(one)) {
            double memory = memory(reading);
            double all = Math.max(0, seconds(one, launch) - input / source.rows());
            costs[0] = Math.sqrt(Math.max(0, all * all - memory * memory));
        }
        double exposed = isTimed(several) ? exposed(launch, reading) : usual; // time may end between the two
        return new DeviceProfile.LinearCost(bytesPerWeight(), beyond(ROWS, costs), input, exposed);
    }

    /** Arithmetic for a weight, by rows. */
    private double[] costs(double launch) {
        double input = input(launch);
        double[] seconds = new double[ROWS.length];
        Arrays.setAll(seconds, i -> warm.get(i).seconds() - launch - input * ROWS[i] * source.columns());
        double[] costs = plausible(ROWS, seconds);
        Arrays.setAll(costs, i -> costs[i] / weights());
        return costs;
    }

    /** Seconds to read a weight of many matrices. */
    private double memory(Curve reading) {
        return reading.at((double) fromMemory * weight.bytes()) / fromMemory / weights();
    }

    /** As of {@link DeviceProfile.LinearCost}; not a number where nothing was timed from memory. */
    double exposed(double launch, Curve reading) {
        if (!isTimed(several)) {
            return Double.NaN;
        }
        double rest = costs(launch)[SEVERAL] + input(launch) * ROWS[SEVERAL] / source.rows();
        return Math.clamp((seconds(several, launch) - rest) / memory(reading), 0, MOST_EXPOSED);
    }

    private double input(double launch) {
        if (narrow == null) {
            return 0;
        }
        double wide = (double) source.rows() / narrowOutputs(device);
        double seconds = input(wide, warm.getLast().seconds() - launch, narrow.seconds() - launch);
        return seconds / MOST_ROWS / source.columns();
    }

    /**
     * Seconds that a matrix with fewer outputs does not spare: quantizing its input, and what comes with each call; at
     * most half of what the wide one takes.
     *
     * @param times how many times the outputs of the narrow one the wide one has
     * @param wide seconds
     * @param narrow seconds
     */
    static double input(double times, double wide, double narrow) {
        return Math.clamp((times * narrow - wide) / (times - 1), 0, Math.max(0, wide) / 2);
    }

    /**
     * Times as they may be: more rows take no less time than fewer, and a multiple of rows no more than that multiple
     * of time. What says otherwise was disturbed; what took no longer than a launch, too, and takes its share of what
     * more rows took.
     *
     * @param rows ascending
     * @param seconds one time for each
     */
    static double[] plausible(double[] rows, double[] seconds) {
        double[] times = seconds.clone();
        int last = times.length - 1;
        if (!(times[last] > 0)) {
            times[last] = LEAST_SECONDS;
            for (int i = 0; i < last; i++) {
                times[last] = Math.max(times[last], times[i]);
            }
        }
        for (int i = last - 1; i >= 0; i--) {
            times[i] = times[i] > 0 ? times[i] : times[i + 1] * rows[i] / rows[i + 1];
        }
        for (int i = 1; i <= last; i++) {
            times[i] = Math.min(times[i], times[i - 1] * rows[i] / rows[i - 1]);
        }
        for (int i = last - 1; i >= 0; i--) {
            times[i] = Math.min(times[i], times[i + 1]);
        }
        return times;
    }

    /**
     * A curve through these costs. Twice the most rows cost half as much again at least: with so many, arithmetic is
     * what takes the time, and it grows with them.
     */
    static Curve beyond(double[] rows, double[] costs) {
        int last = rows.length - 1;
        double slope = (costs[last] - costs[last - 1]) / (rows[last] - rows[last - 1]);
        return new Curve(rows, costs, Math.max(slope, costs[last] / 2 / rows[last]));
    }

    /** Numbers from -0.5 to 0.5. */
    static float[] numbers(int count) {
        SplittableRandom random = new SplittableRandom(20261127);
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = (float) (random.nextInt() * 0x1p-32);
        }
        return numbers;
    }

    /** Random weights: in a type of the layout where a device takes over its blocks quickly, else in F32. */
    private static MatrixSource source(WeightLayout layout, int outputs, int columns) {
        TensorType type = blocks(layout, columns);
        if (type == null) {
            return floats(layout.equals(WeightLayout.F16) ? TensorType.F16 : TensorType.F32, outputs, columns);
        }
        MemorySegment data = Arena.ofAuto().allocate(type.rowBytes(columns) * outputs, 64);
        SplittableRandom random = new SplittableRandom(20261127);
        int header = type.blockBytes() - type.blockElements() * layout.element().bits() / 8;
        short small = Float.floatToFloat16(0.01f); // scales and minimums
        for (long at = 0; at < data.byteSize(); at += type.blockBytes()) {
            for (int i = 0; i < type.blockBytes(); i += 2) {
                short bits = i < header ? small : (short) random.nextInt();
                data.set(ValueLayout.JAVA_SHORT_UNALIGNED, at + i, bits);
            }
        }
        return new MatrixSource("random", type, outputs, columns, data);
    }

    private static MatrixSource floats(TensorType type, int outputs, int columns) {
        float[] numbers = numbers(outputs * columns);
        MemorySegment data = Arena.ofAuto().allocate(type.rowBytes(columns) * outputs, 64);
        if (type == TensorType.F32) {
            data.copyFrom(MemorySegment.ofArray(numbers));
        } else {
            for (int i = 0; i < numbers.length; i++) {
                data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(numbers[i]));
            }
        }
        return new MatrixSource("random", type, outputs, columns, data);
    }

    private static @Nullable TensorType blocks(WeightLayout layout, int columns) {
        return Arrays.stream(TensorType.values())
                .filter(type -> type.order() != null && type.layout().equals(layout))
                .filter(type -> columns % type.blockElements() == 0)
                .findFirst()
                .orElse(null);
    }
}
