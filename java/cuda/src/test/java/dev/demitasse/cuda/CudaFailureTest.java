package dev.demitasse.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.demitasse.Devices;
import dev.demitasse.Linear;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Support;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.DeviceFailedException;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.testkit.KernelCases;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What goes wrong on a machine, each in a process of its own: the driver reads the emulator's settings from the
 * environment.
 */
@EnabledIf(value = "dev.demitasse.cuda.CudaBackendTest#usable", disabledReason = CudaBackendTest.WHY_NOT)
class CudaFailureTest {
    static Stream<Arguments> refusals() {
        return Stream.of(
                Arguments.of(Map.of("LD_LIBRARY_PATH", "/nowhere"), "there is no NVIDIA driver"),
                Arguments.of(Map.of("DEMITASSE_ALLOW_EMULATOR", "0"), "is Demitasse's emulator"),
                Arguments.of(Map.of("EMULATOR_INIT", "100"), "CUDA_ERROR_NO_DEVICE"),
                Arguments.of(Map.of("EMULATOR_DEVICES", "0"), "the driver has no GPU"),
                Arguments.of(
                        Map.of("EMULATOR_DRIVER", "11080"),
                        "the driver is for CUDA 11.8, and the kernels need " + KernelModules.driver()),
                Arguments.of(
                        Map.of("EMULATOR_DRIVER", "11080"),
                        "install a driver of version " + KernelModules.driver().series() + " or newer"),
                Arguments.of(Map.of("EMULATOR_CAPABILITY", "75"), "compute capability 7.5, and the kernels need 8.0"));
    }

    /** Each has its reason and a cure, and automatic choice goes on to the next backend. */
    @ParameterizedTest
    @MethodSource("refusals")
    void saysWhyNotAndGoesOn(Map<String, String> environment, String reason) throws Exception {
        String said = run(environment, "probe");
        assertThat(said).contains(reason).contains("auto: ").doesNotContain("auto: cuda");
    }

    /** Kernels of ci/cuda-toolchain.sh's own packages run on every driver for CUDA 12; those of CUDA 13 do not. */
    @Test
    void asksForNoNewerDriverThanItsKernelsDo() throws Exception {
        assumeThat(KernelModules.driver().number()).isEqualTo(12000);
        Map<String, String> old = Map.of("EMULATOR_DRIVER", "12020");
        assertThat(run(old, "probe")).contains("CUDA 12.2, 0: ").contains("needs a driver of version 525 or newer ok");
        assertThat(run(old, "graphs")).doesNotContain("one by one").contains("5 steps: 32.0");
        assertThat(run(Map.of("EMULATOR_DRIVER", "12020", "EMULATOR_CAPABILITY", "120"), "probe"))
                .contains("the driver is for CUDA 12.2, and the kernels need CUDA 12.8")
                .contains("install a driver of version 570 or newer not ok");
    }

    @Test
    void theEmulatorIsNeverChosenByItself() throws Exception {
        assertThat(run(Map.of(), "probe")).contains("ok").doesNotContain("auto: cuda");
    }

    @Test
    void listsDevicesAndTakesTheOneAskedFor() throws Exception {
        Map<String, String> two = Map.of("EMULATOR_DEVICES", "2");
        assertThat(run(two, "open", "1")).contains("opened Demitasse emulator");
        assertThat(run(two, "open", "2"))
                .contains(BackendUnavailableException.class.getName())
                .contains("there is no device 2");
    }

    @Test
    void saysWhatDoesNotFitAndWhatWould() throws Exception {
        Map<String, String> small = Map.of("EMULATOR_MEMORY", Long.toString(64 << 20));
        assertThat(run(small, "cache"))
                .contains(OutOfDeviceMemoryException.class.getName())
                .containsPattern("the longest that fits is \\d+ positions");
        assertThat(run(small, "buffer"))
                .contains(OutOfDeviceMemoryException.class.getName())
                .contains("100 MiB for buffers do not fit");
    }

    @Test
    void withoutGraphsKernelsAreLaunchedOneByOne() throws Exception {
        assertThat(run(Map.of("EMULATOR_GRAPHS", "0"), "graphs"))
                .containsOnlyOnce("while making a graph; for a while kernels are launched one by one")
                .contains("5 steps: 32.0");
        assertThat(run(Map.of(), "graphs")).doesNotContain("one by one").contains("5 steps: 32.0");
    }

    /** A graph that could not be made once is tried again later. */
    @Test
    void oneFailedGraphDoesNotTurnGraphsOffForEver() throws Exception {
        assertThat(run(Map.of("EMULATOR_GRAPHS", "-1"), "retry"))
                .containsOnlyOnce("for a while kernels are launched one by one")
                .containsPattern("replays [1-9]");
    }

    /** What was recorded is dropped whole when an operation fails half-way, and the device goes on. */
    @Test
    void aStepThatFailsWhileItIsRecordedIsDroppedWhole() throws Exception {
        assertThat(run(Map.of("EMULATOR_MEMORY", Long.toString(64 << 20)), "half-way"))
                .contains(OutOfDeviceMemoryException.class.getSimpleName())
                .contains("left 1.0, then 2.0, product 64.0");
    }

    @Test
    void refusesInstructionsThatTheGpuHasNot() throws Exception {
        assertThat(run(Map.of("EMULATOR_CAPABILITY", "80"), "instructions", "wgmma"))
                .contains(BackendUnavailableException.class.getName())
                .contains("wgmma needs compute capability 9.0");
        assertThat(run(Map.of(), "instructions", "mmx")).contains("there is no instruction set mmx");
    }

    /** A fault in a kernel breaks the context: reported once as what it is, then refused, and closing still works. */
    @Test
    void aBrokenContextIsReportedAndNotUsedAgain() throws Exception {
        assertThat(run(Map.of("EMULATOR_FAULT", "add"), "fault"))
                .contains("first: " + DeviceFailedException.class.getName())
                .contains("CUDA_ERROR_LAUNCH_FAILED")
                .contains("second: " + DeviceFailedException.class.getName())
                .contains("closed");
    }

    /** Pinned memory goes with the device: late writes end in an exception, not in a crash. */
    @Test
    void lateWritesAreRefused() {
        Device device = Devices.open("cuda", DeviceOptions.defaults());
        Buffer buffer = device.allocate(64);
        device.close();
        assertThatThrownBy(() -> buffer.write(0, MemorySegment.ofArray(new float[16])))
                .isInstanceOf(UsageException.class);
        buffer.close();
    }

    private static String run(Map<String, String> environment, String... arguments) throws Exception {
        String program = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        List<String> command = Stream.concat(
                        Stream.of(
                                program,
                                "--enable-native-access=ALL-UNNAMED",
                                "-Xmx256m",
                                "-cp",
                                System.getProperty("java.class.path"),
                                CudaFailureTest.class.getName()),
                        Stream.of(arguments))
                .toList();
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(environment);
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output;
    }

    /** The other process. */
    public static void main(String[] arguments) throws IOException {
        switch (arguments[0]) {
            case "probe" -> {
                Support support = new CudaBackend().probe();
                System.out.println(support + (support.ok() ? " ok" : " not ok"));
                try (Device device = Devices.open("auto", DeviceOptions.defaults())) {
                    System.out.println("auto: " + device.name());
                }
            }
            case "open" -> report(Integer.parseInt(arguments[1]), device -> "opened " + device.description());
            case "graphs" -> report(0, CudaFailureTest::doubleFiveTimes);
            case "retry" -> retry();
            case "half-way" -> report(0, CudaFailureTest::failHalfWay);
            case "instructions" ->
                report(DeviceOptions.defaults().withInstructionSet(arguments[1]), Device::description);
            case "cache" ->
                report(0, device -> {
                    try (KvStore store = device.allocateKv(new KvShape(32, 8, 128, 1024, KvType.F16))) {
                        return "no error: " + store.shape();
                    }
                });
            case "buffer" ->
                report(0, device -> {
                    try (Buffer buffer = device.allocate(100 << 20)) {
                        return "no error: " + buffer.bytes();
                    }
                });
            default -> fault();
        }
    }

    private static void report(int ordinal, java.util.function.Function<Device, String> use) {
        DeviceOptions defaults = DeviceOptions.defaults();
        report(new DeviceOptions(0, ordinal, defaults.activations(), null, false), use);
    }

    private static void report(DeviceOptions options, java.util.function.Function<Device, String> use) {
        try (Device device = Devices.open("cuda", options)) {
            System.out.println(use.apply(device));
        } catch (DemitasseException e) {
            System.out.println(e);
        }
    }

    private static String doubleFiveTimes(Device device) {
        float[] values = new float[16];
        Arrays.fill(values, 1);
        try (Buffer x = device.upload(values)) {
            for (int step = 0; step < 5; step++) {
                device.add(x, x, 16);
                x.read(0, MemorySegment.ofArray(values));
            }
        }
        return "5 steps: " + values[7];
    }

    private static void retry() {
        float[] values = new float[16];
        try (CudaDevice device = (CudaDevice) new CudaBackend().open(DeviceOptions.defaults());
                Buffer x = device.upload(values)) {
            for (int step = 0; step < 600; step++) {
                device.add(x, x, 16);
                x.read(0, MemorySegment.ofArray(values));
            }
            System.out.println("replays " + device.replays());
        }
    }

    private static String failHalfWay(Device device) {
        int rows = 2048;
        int columns = 4096;
        float[] one = {1};
        float[] weights = new float[columns];
        Arrays.fill(weights, 1);
        try (Buffer x = device.allocate(4L * rows * columns);
                Buffer y = device.upload(one);
                Buffer out = device.allocate(4L * rows);
                Linear small = Linear.quantize(device, weights, 64, 64, WeightLayout.int8(32));
                LinearWeight weight = device.upload(KernelCases.matrix(weights, 1, columns), WeightLayout.int8(32))) {
            List<Buffer> filling = new ArrayList<>();
            try {
                while (true) {
                    filling.add(device.allocate(1 << 20));
                }
            } catch (OutOfDeviceMemoryException full) {
                filling.removeLast().close();
            }
            device.add(y, y, 1);
            String failure = "none";
            try {
                device.linear(x, rows, new Projection(weight, null, out));
            } catch (OutOfDeviceMemoryException e) {
                failure = e.getClass().getSimpleName();
            }
            y.read(0, MemorySegment.ofArray(one));
            float left = one[0];
            device.add(y, y, 1);
            y.read(0, MemorySegment.ofArray(one));
            filling.forEach(Buffer::close);
            float[] input = new float[64];
            Arrays.fill(input, 1);
            return failure + ": left " + left + ", then " + one[0] + ", product " + small.multiply(input, 1)[63];
        }
    }

    private static void fault() {
        try (Device device = Devices.open("cuda", DeviceOptions.defaults());
                Buffer x = device.allocate(64)) {
            for (String turn : List.of("first", "second")) {
                try {
                    device.add(x, x, 16);
                    x.read(0, MemorySegment.ofArray(new float[16]));
                } catch (DemitasseException e) {
                    System.out.println(turn + ": " + e);
                }
            }
        }
        System.out.println("closed");
    }
}
