package dev.demitasse.bench;

import dev.demitasse.Devices;
import dev.demitasse.device.ActivationType;
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
import org.bytedeco.openblas.global.openblas;
import org.openjdk.jmh.annotations.AuxCounters;
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
 * INT8 throughput for applications: {@code y = x Wᵀ} of square matrices, W8A8 on the native device and on the Vector
 * API, beside a plain Java loop over bytes and OpenBLAS's FP32 {@code sgemm}, all with the same threads. The counter
 * {@code operations} is in operations (two a multiply-add) a second; the limit of the machine is what {@code
 * native/build/release/peak} prints. Run with {@code java -cp … org.openjdk.jmh.Main Int8GemmBenchmark}.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
        value = 1,
        jvmArgs = {"--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class Int8GemmBenchmark {
    /** M, N and K. */
    @Param({"64", "256", "1024", "4096"})
    public int size = 64;

    /** Who multiplies: a backend's name, {@code loop} or {@code openblas}. */
    @Param({"native", "vector", "loop", "openblas"})
    public String by = "native";

    private Runnable multiply = () -> {};
    private Runnable close = () -> {};

    /** For JMH. */
    public Int8GemmBenchmark() {}

    /** Counts operations. */
    @State(Scope.Thread)
    @AuxCounters(AuxCounters.Type.OPERATIONS)
    public static class Counter {
        /** Multiplications and additions. */
        public long operations;

        /** For JMH. */
        public Counter() {}
    }

    /** Makes the matrices. */
    @Setup(Level.Trial)
    public void open() {
        SplittableRandom random = new SplittableRandom(1);
        float[] w = KernelCases.numbers(size * size, KernelCases.Fill.RANDOM, random);
        float[] x = KernelCases.numbers(size * size, KernelCases.Fill.RANDOM, random);
        switch (by) {
            case "loop" -> loop(random);
            case "openblas" -> openblas(w, x);
            default -> device(w, x);
        }
    }

    private void device(float[] w, float[] x) {
        Device device = Devices.open(by, DeviceOptions.defaults().withActivations(ActivationType.INT8_ROW));
        LinearWeight weight = device.upload(KernelCases.matrix(w, size, size), WeightLayout.int8(WeightLayout.ROW));
        Buffer input = device.upload(x);
        Buffer output = device.allocate((long) size * size * Float.BYTES);
        MemorySegment first = MemorySegment.ofArray(new float[1]);
        multiply = () -> {
            device.linear(input, size, new Projection(weight, null, output));
            output.read(0, first); // the device waits with the work until its result is wanted
        };
        close = () -> {
            weight.close();
            input.close();
            output.close();
            device.close();
        };
    }

    /** What one writes first: rows of bytes, sums of int. */
    private void loop(SplittableRandom random) {
        byte[] a = new byte[size * size];
        byte[] b = new byte[size * size];
        int[] c = new int[size * size];
        random.nextBytes(a);
        random.nextBytes(b);
        multiply = () -> {
            for (int i = 0; i < size; i++) {
                for (int j = 0; j < size; j++) {
                    int sum = 0;
                    for (int k = 0; k < size; k++) {
                        sum += a[i * size + k] * b[j * size + k];
                    }
                    c[i * size + j] = sum;
                }
            }
        };
    }

    private void openblas(float[] w, float[] x) {
        float[] y = new float[size * size];
        multiply = () -> openblas.cblas_sgemm(
                openblas.CblasRowMajor,
                openblas.CblasNoTrans,
                openblas.CblasTrans,
                size,
                size,
                size,
                1,
                x,
                size,
                w,
                size,
                0,
                y,
                size);
    }

    /** One multiplication. */
    @Benchmark
    public void multiply(Counter counter) {
        multiply.run();
        counter.operations += 2L * size * size * size;
    }

    /** Gives everything back. */
    @TearDown(Level.Trial)
    public void close() {
        close.run();
    }
}
