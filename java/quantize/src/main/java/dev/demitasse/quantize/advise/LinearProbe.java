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
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/** Times {@code linear} with random matrices of one layout: one that caches hold, and more than they do. */
final class LinearProbe {
    /** What no product takes less than: a launch that was disturbed may have been timed longer than one. */
    private static final double LEAST_SECONDS = 1e-7;

    private static final double[] ROWS = {1, 2, 4, 8, 16, 32, 128};
    /** Weights of a matrix: so many that launches count for little, so few that caches hold them. */
    private static final int WEIGHTS = 1 << 20;
    /** The same where a device runs beside the host: GPUs need a large matrix to be busy. */
    private static final int GPU_WEIGHTS = 1 << 25;
    /** More than caches hold. */
    private static final long COLD_BYTES = 48L << 20;

    private static final long GPU_COLD_BYTES = 256L << 20;
    /** Of the memory that is free, one layout's copies take at most the SHARE-th part. */
    private static final int SHARE = 32;

    private final Device device;
    private final MatrixSource source;
    private final LinearWeight weight;
    private final Resources resources;
    private final List<Stopwatch.Timing> warm = new ArrayList<>();
    private final List<LinearWeight> many = new ArrayList<>();
    private Stopwatch.@Nullable Timing cold;

    /**
     * A matrix of {@code outputs} × {@code columns}.
     *
     * @param resources close what it has of the device
     */
    LinearProbe(Device device, WeightLayout layout, int outputs, int columns, Resources resources) {
        this.device = device;
        this.resources = resources;
        this.source = source(layout, outputs, columns);
        this.weight = upload(layout);
    }

    /** A matrix of that many columns. */
    static LinearProbe of(Device device, WeightLayout layout, int columns, Resources resources) {
        int weights = device.runsAhead() ? GPU_WEIGHTS : WEIGHTS;
        return new LinearProbe(device, layout, Math.max(1, weights / columns), columns, resources);
    }

    private LinearWeight upload(WeightLayout layout) {
        return resources.own(device.upload(source, layout), LinearWeight::close);
    }

    /** Takes up products with few rows and many, and one from memory where such a matrix is made quickly. */
    void time(Stopwatch stopwatch) {
        for (double rows : ROWS) {
            warm.add(time(stopwatch, (int) rows));
        }
        if (source.type().layout().equals(weight.layout())) {
            long bytes = device.runsAhead() ? Math.min(GPU_COLD_BYTES, device.freeBytes() / SHARE) : COLD_BYTES;
            for (long sum = 0; sum < bytes; sum += weight.bytes()) {
                many.add(upload(weight.layout()));
            }
            cold = time(stopwatch, many, 1);
        }
    }

    /** Takes up a product with that many rows, the matrix in a cache. */
    Stopwatch.Timing time(Stopwatch stopwatch, int rows) {
        return time(stopwatch, List.of(weight), rows);
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

    /** Seconds for a weight of one row from memory. */
    private double coldSeconds(double launch) {
        Stopwatch.Timing timing = cold;
        return timing == null ? 0 : Math.max(LEAST_SECONDS, timing.seconds() / many.size() - launch) / weights();
    }

    private double bytesPerWeight() {
        return weight.bytes() / weights();
    }

    /** Bytes a second that one row reads from memory; 0 where that was not timed. */
    double bandwidth(double launch) {
        return cold == null ? 0 : bytesPerWeight() / coldSeconds(launch);
    }

    /**
     * What was timed, as arithmetic alone. For one row it is what is left of the time from memory beside reading at the
     * bandwidth.
     */
    DeviceProfile.LinearCost cost(double launch, double bandwidth) {
        double[] seconds =
                warm.stream().mapToDouble(each -> each.seconds() - launch).toArray();
        double[] costs = plausible(ROWS, seconds);
        Arrays.setAll(costs, i -> costs[i] / weights());
        if (cold != null) {
            double memory = bytesPerWeight() / bandwidth;
            double all = coldSeconds(launch);
            costs[0] = Math.min(costs[1], Math.sqrt(Math.max(0, all * all - memory * memory)));
        }
        return new DeviceProfile.LinearCost(bytesPerWeight(), beyond(ROWS, costs));
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
