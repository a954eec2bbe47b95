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
import java.util.Arrays;
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
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.CommandLineOptionException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * {@code linear} of every layout: one row (bound by memory) and many (bound by arithmetic), of the sizes that {@code
 * cases.txt} lists as {@code square}. Run with {@code java -cp … dev.demitasse.bench.LinearBenchmark}, and JMH's
 * options; one row of 4096 × 4096 moves 8.4 MB (INT4) or 16.8 MB (INT8), 512 rows are 17 G multiply-adds.
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

    /** Rows, outputs and columns, with an x between them; {@link #main} gives those of {@code cases.txt}. */
    @Param({"1x4096x4096"})
    public String sizes = "1x4096x4096";

    private int rows;

    private Device device = Devices.open("reference", DeviceOptions.defaults());
    private LinearWeight weight = device.upload(KernelCases.matrix(new float[32], 1, 32), WeightLayout.F32);
    private Buffer input = device.allocate(0);
    private Buffer output = device.allocate(0);

    private final MemorySegment first = MemorySegment.ofArray(new float[1]);

    /** For JMH. */
    public LinearBenchmark() {}

    /** Runs it; {@code -p sizes=1x4096x4096} times that size instead of those listed. */
    public static void main(String[] arguments) throws RunnerException, CommandLineOptionException {
        Options options = new CommandLineOptions(arguments);
        ChainedOptionsBuilder builder = new OptionsBuilder().parent(options).include(LinearBenchmark.class.getName());
        if (!options.getParameter("sizes").hasValue()) {
            builder.param(
                    "sizes",
                    KernelCases.benchmarks("square", "linear").stream()
                            .flatMap(c -> Arrays.stream(c.rows())
                                    .mapToObj(rows -> rows + "x" + c.sizes()[0] + "x" + c.sizes()[1]))
                            .toArray(String[]::new));
        }
        new Runner(builder.build()).run();
    }

    /** Opens the device and fills the matrix. */
    @Setup(Level.Trial)
    public void open() {
        int[] numbers =
                Arrays.stream(sizes.split("x", -1)).mapToInt(Integer::parseInt).toArray();
        rows = numbers[0];
        int outputs = numbers[1];
        int columns = numbers[2];
        SplittableRandom random = new SplittableRandom(1);
        device = Devices.open(backend, DeviceOptions.defaults());
        WeightLayout wanted = switch (layout) {
            case "INT4" -> WeightLayout.int4(32);
            case "INT8" -> WeightLayout.int8(32);
            default -> WeightLayout.F16;
        };
        float[] values = KernelCases.numbers(outputs * columns, KernelCases.Fill.RANDOM, random);
        weight = device.upload(KernelCases.matrix(values, outputs, columns), wanted);
        input = device.upload(KernelCases.numbers(rows * columns, KernelCases.Fill.RANDOM, random));
        output = device.allocate((long) rows * outputs * Float.BYTES);
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
