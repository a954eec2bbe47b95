package dev.demitasse.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** Drivers that compile with LLVM take the JVM's signal handlers; it gets them back. */
@EnabledOnOs(OS.LINUX)
class JvmSignalsTest {
    private static final int SIGTERM = 15;
    private static final long IGNORE = 1;

    @Test
    void whatChangedMeanwhileIsUndone() {
        assumeTrue(OpenClBackendTest.usable(), OpenClBackendTest.WHY_NOT);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment ignore = arena.allocate(256);
            ignore.set(ValueLayout.JAVA_LONG, 0, IGNORE);
            long before = handler(SIGTERM);
            try (JvmSignals _ = JvmSignals.keep()) {
                JvmSignals.sigaction(SIGTERM, ignore.address(), 0);
                assertEquals(IGNORE, handler(SIGTERM));
            }
            assertEquals(before, handler(SIGTERM));
        }
    }

    @Test
    void theJvmHandlesItsSignalsAfterADeviceWasOpened() throws IOException {
        assumeTrue(OpenClBackendTest.usable(), OpenClBackendTest.WHY_NOT);
        try (Device device = new OpenClBackend().open(DeviceOptions.defaults())) {
            SelfCheck.require(device, "the device"); // builds and runs kernels
        }
        Map<String, Integer> signals =
                Map.of("QUIT", 3, "ILL", 4, "BUS", 7, "FPE", 8, "SEGV", 11, "USR2", 12, "TERM", SIGTERM);
        List<String> mappings = Files.readAllLines(Path.of("/proc/self/maps"));
        signals.forEach((name, number) -> {
            String library = library(mappings, handler(number));
            assertTrue(library.endsWith("/libjvm.so"), name + " is handled by " + library);
        });
    }

    /** The first field of {@code struct sigaction} in glibc and musl. */
    private static long handler(int signal) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment action = arena.allocate(256);
            JvmSignals.sigaction(signal, 0, action.address());
            return action.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    /** The file that is mapped at an address. */
    private static String library(List<String> mappings, long address) {
        for (String mapping : mappings) {
            String[] range = mapping.substring(0, mapping.indexOf(' ')).split("-");
            if (Long.compareUnsigned(address, Long.parseUnsignedLong(range[0], 16)) >= 0
                    && Long.compareUnsigned(address, Long.parseUnsignedLong(range[1], 16)) < 0) {
                return mapping.substring(mapping.lastIndexOf(' ') + 1);
            }
        }
        return "nothing at " + Long.toHexString(address);
    }
}
