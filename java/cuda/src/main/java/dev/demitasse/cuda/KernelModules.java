package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuFuncSetAttribute;
import static jcuda.driver.JCudaDriver.cuModuleGetFunction;
import static jcuda.driver.JCudaDriver.cuModuleLoadData;
import static jcuda.driver.JCudaDriver.cuModuleUnload;
import static jcuda.driver.JCudaDriver.cuOccupancyMaxActiveBlocksPerMultiprocessor;

import dev.demitasse.exception.BackendUnavailableException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;

/** The kernels, from the fatbins in the jar: one for each file in {@code cuda/kernels}. */
final class KernelModules implements AutoCloseable {
    /**
     * The fingerprint of the sources, the driver that the kernels need, then the names of the files, one a line;
     * written by {@code cuda/CMakeLists.txt}.
     */
    private static final String LIST = "kernels.txt";

    private static final String DRIVER = "driver ";

    private static final String WGMMA_SUFFIX = ".sm90a";

    /** Dynamic shared memory that a kernel may have without asking. */
    private static final int SHARED_BYTES = 48 << 10;

    private final List<CUmodule> modules = new ArrayList<>();
    private final Map<String, KernelFunction> functions = new HashMap<>();
    private final Map<String, Integer> sharedBytes = new HashMap<>();
    private final Map<String, Integer> resident = new HashMap<>();

    /** Whether the build had an nvcc. What builds before this form of the list left behind does not count. */
    static boolean built() {
        return KernelModules.class.getResource(LIST) != null && list().get(1).startsWith(DRIVER);
    }

    /** The oldest driver that reads them. */
    static DriverVersion driver() {
        return new DriverVersion(Integer.parseInt(list().get(1).substring(DRIVER.length())));
    }

    /** A checksum of the kernels, which tells builds apart. */
    static long fingerprint() {
        CRC32C sum = new CRC32C();
        List<String> lines = list();
        lines.subList(2, lines.size()).forEach(file -> sum.update(resource(file + ".fatbin")));
        return sum.getValue();
    }

    private static List<String> list() {
        return new String(resource(LIST), StandardCharsets.UTF_8).lines().toList();
    }

    /** Loads them into the current context; {@code wgmma}: those of sm_90a, too. */
    KernelModules(boolean wgmma) {
        List<String> lines = list();
        requireSameBoundary(lines.getFirst());
        for (String file : lines.subList(2, lines.size())) {
            if (file.endsWith(WGMMA_SUFFIX) && !wgmma) {
                continue;
            }
            CUmodule module = new CUmodule();
            int failed = cuModuleLoadData(module, resource(file + ".fatbin"));
            if (failed != 0) {
                close();
                throw new BackendUnavailableException("cuda: the driver does not take the kernels of " + file + ": "
                        + Driver.name(failed) + "; a newer driver may.");
            }
            modules.add(module);
        }
    }

    /** Refuses kernels of other sources than these classes: arguments would not lie where they are read. */
    static void requireSameBoundary(String line) {
        String own = String.format("boundary %015x", Boundary.FINGERPRINT);
        if (!line.equals(own)) {
            throw new BackendUnavailableException("cuda: the kernels were built from other sources than the classes ("
                    + line + ", theirs " + own + "); build again.");
        }
    }

    private static byte[] resource(String name) {
        try (InputStream in = KernelModules.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new BackendUnavailableException("cuda: this build has no " + name + ".");
            }
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A kernel that will be launched with at most that much dynamic shared memory. */
    KernelFunction get(String name, int bytes) {
        KernelFunction function = functions.computeIfAbsent(name, this::find);
        if (bytes > Math.max(SHARED_BYTES, sharedBytes.getOrDefault(name, 0))) {
            Driver.check(
                    cuFuncSetAttribute(
                            function, CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes),
                    "asking for " + bytes + " bytes of shared memory for " + name);
            sharedBytes.put(name, bytes);
        }
        return function;
    }

    /** How many blocks of a kernel a multiprocessor holds at a time; at least one. */
    int resident(String name, Launch.Grid grid) {
        return resident.computeIfAbsent(name, key -> {
            int[] blocks = new int[1];
            Driver.check(
                    cuOccupancyMaxActiveBlocksPerMultiprocessor(
                            blocks, get(name, grid.sharedBytes()), grid.threads(), grid.sharedBytes()),
                    "asking how many blocks of " + name + " fit a multiprocessor");
            return Math.max(1, blocks[0]);
        });
    }

    private KernelFunction find(String name) {
        KernelFunction function = new KernelFunction();
        for (CUmodule module : modules) {
            int failed = cuModuleGetFunction(function, module, name);
            if (failed == 0) {
                return function;
            }
            if (failed != CUresult.CUDA_ERROR_NOT_FOUND) {
                Driver.check(failed, "looking for the kernel " + name);
            }
        }
        throw new IllegalStateException("there is no kernel " + name);
    }

    @Override
    public void close() {
        modules.forEach(module -> cuModuleUnload(module));
        modules.clear();
    }
}
