package dev.demitasse.bench;

import dev.demitasse.Devices;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * {@code linear} of every layout: one row (bound by memory) and many (bound by arithmetic). Run with {@code java -cp … org.openjdk.jmh.Main
 * LinearBenchmark}; one row of 4096 × 4096 moves 8.4 MB (INT4) or 16.8 MB (INT8), 512 rows are 17 G multiply-adds.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(
        value = 1,
        jvmArgs = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class LinearBenchmark {
    /** The backend's name. */
    @Param({"native", "vector"})
    public String backend = "native";

    /** The layout: INT4, INT8 or F16, per 32. */
    @Param({"INT4", "INT8", "F16"})
    public String layout = "INT4";

    /** Rows of activations. */
    @Param({"1", "512"})
    public int rows = 1;

    /** Rows and columns of the matrix. */
    @Param({"1024", "4096"})
    public int size = 1024;

    private Device device = Devices.open("reference", DeviceOptions.defaults());
    private LinearWeight weight = device.upload(KernelCases.matrix(new float[32], 1, 32), WeightLayout.F32);
    private Buffer input = device.allocate(0);
    private Buffer output = device.allocate(0);

    private final MemorySegment first = MemorySegment.ofArray(new float[1]);

    /** For JMH. */
    public LinearBenchmark() {}

    /** Opens the device and fills the matrix. */
    @Setup(Level.Trial)
    public void open() {
        SplittableRandom random = new SplittableRandom(1);
        device = Devices.open(backend, DeviceOptions.defaults());
        WeightLayout wanted = switch (layout) {
            case "INT4" -> WeightLayout.int4(32);
            case "INT8" -> WeightLayout.int8(32);
            default -> WeightLayout.F16;
        };
        float[] values = KernelCases.numbers(size * size, KernelCases.Fill.RANDOM, random);
        weight = device.upload(KernelCases.matrix(values, size, size), wanted);
        input = device.upload(KernelCases.numbers(rows * size, KernelCases.Fill.RANDOM, random));
        output = device.allocate((long) rows * size * Float.BYTES);
    }

    /** One multiplication. */
    @Benchmark
    public void multiply() {
        device.linear(input, rows, new Projection(weight, null, output));
        output.read(0, first); // a device may wait with the work until its result is wanted
    }

    /** Gives everything back. */
    @TearDown(Level.Trial)
    public void close() {
        weight.close();
        input.close();
        output.close();
        device.close();
    }
}
