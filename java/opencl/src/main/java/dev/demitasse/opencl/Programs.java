package dev.demitasse.opencl;

import static org.lwjgl.opencl.CL10.CL_PROGRAM_BINARIES;
import static org.lwjgl.opencl.CL10.CL_PROGRAM_BINARY_SIZES;
import static org.lwjgl.opencl.CL10.CL_PROGRAM_BUILD_LOG;
import static org.lwjgl.opencl.CL10.CL_SUCCESS;
import static org.lwjgl.opencl.CL10.clBuildProgram;
import static org.lwjgl.opencl.CL10.clCreateKernel;
import static org.lwjgl.opencl.CL10.clCreateProgramWithBinary;
import static org.lwjgl.opencl.CL10.clCreateProgramWithSource;
import static org.lwjgl.opencl.CL10.clGetProgramBuildInfo;
import static org.lwjgl.opencl.CL10.clGetProgramInfo;
import static org.lwjgl.opencl.CL10.clReleaseKernel;
import static org.lwjgl.opencl.CL10.clReleaseProgram;

import dev.demitasse.exception.BackendUnavailableException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.lwjgl.PointerBuffer;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;

/** The programs of kernels, built when one is wanted first, or taken from the cache of programs. */
final class Programs implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(Programs.class.getName());
    private static final Pattern INCLUDE = Pattern.compile("(?m)^#include \"(\\w+\\.h)\"$");

    private final OpenClContext context;
    private final ProgramCache cache;
    private final String options;
    private final Map<Key, Long> programs = new HashMap<>();
    private final Map<Key, Long> kernels = new HashMap<>(); // whose arguments are set at each launch

    /**
     * A kernel.
     *
     * @param name of it, and of its file
     * @param macros what it is compiled with, {@code -DROWS=4}
     */
    record Key(String name, String macros) {}

    Programs(OpenClContext context, ProgramCache cache, DeviceInfo.Kernels kernels) {
        this.context = context;
        DeviceInfo device = context.info();
        this.cache = cache;
        this.options = kernels.options()
                + (device.correctDivision() ? " -cl-fp32-correctly-rounded-divide-sqrt -DCORRECT_DIVISION" : "");
    }

    /** A kernel whose arguments whoever launches it sets. */
    long get(Key key) {
        return kernels.computeIfAbsent(key, this::create);
    }

    /** A kernel of one's own, which remembers its arguments; whoever has it releases it. */
    long create(Key key) {
        long program = programs.computeIfAbsent(key, this::program);
        try (MemoryStack stack = MemoryStack.stackPush()) {
            IntBuffer result = stack.mallocInt(1);
            long kernel = clCreateKernel(program, key.name, result);
            context.check(result.get(0), "making the kernel " + key.name);
            return kernel;
        }
    }

    private long program(Key key) {
        String source = source(key.name + ".cl", new HashSet<>());
        String all = options + (key.macros.isEmpty() ? "" : " " + key.macros);
        String name = cache.name(source, all);
        long kept = fromCache(name, all);
        if (kept != 0) {
            return kept;
        }
        return cache.alone(() -> {
            long others = fromCache(name, all); // who had the lock may have built it
            if (others != 0) {
                return others;
            }
            long program = fromSource(key, source, all);
            byte[] built = cache.keeping() ? binary(program) : new byte[0];
            if (built.length > 0) {
                cache.write(name, built);
            }
            return program;
        });
    }

    /** 0 where it is not in the cache, or the driver does not take it any more. */
    private long fromCache(String name, String all) {
        byte[] binary = cache.read(name);
        return binary == null ? 0 : fromBinary(binary, all);
    }

    /** A file and what it includes, each once. */
    static String source(String file, Set<String> seen) {
        String text = resource(file);
        StringBuilder joined = new StringBuilder("#line 1 \"" + file + "\"\n");
        Matcher include = INCLUDE.matcher(text);
        int from = 0;
        while (include.find()) {
            joined.append(text, from, include.start());
            from = include.end();
            if (seen.add(include.group(1))) {
                long line = text.substring(0, include.end()).lines().count() + 1; // the one after it
                joined.append(source(include.group(1), seen))
                        .append("\n#line ")
                        .append(line)
                        .append(" \"")
                        .append(file)
                        .append('"');
            }
        }
        return joined.append(text.substring(from)).toString();
    }

    private static String resource(String name) {
        try (InputStream in = Programs.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new BackendUnavailableException("opencl: this build has no " + name + ".");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Built twice where the first attempt fails: drivers that keep kernels of their own fail now and then where two
     * build at once (PoCL's issues 586 and 1480), and give no reason. Source that is wrong fails twice.
     */
    private long fromSource(Key key, String source, String all) {
        for (int attempt = 1; ; attempt++) {
            long program = programOf(key, source);
            int failed = build(program, all);
            if (failed == CL_SUCCESS) {
                return program;
            }
            String log = log(program);
            clReleaseProgram(program);
            String message = "opencl: " + context.info() + " does not compile " + key.name + " (" + all + "), "
                    + Results.name(failed) + ":\n" + log;
            if (attempt == 2) {
                throw new BackendUnavailableException(message + "\nA newer driver may; please report this.");
            }
            LOG.log(System.Logger.Level.WARNING, "{0}\nIt is built once more.", message);
        }
    }

    private int build(long program, String all) {
        try (JvmSignals _ = JvmSignals.keep()) {
            return clBuildProgram(program, context.info().id(), all, null, 0);
        }
    }

    private long programOf(Key key, String source) {
        try (MemoryStack stack = MemoryStack.stackPush()) {
            IntBuffer result = stack.mallocInt(1);
            long program = clCreateProgramWithSource(context.handle(), source, result);
            context.check(result.get(0), "making the program " + key.name);
            return program;
        }
    }

    /** 0 where the driver does not take it any more. */
    private long fromBinary(byte[] binary, String all) {
        ByteBuffer bytes = MemoryUtil.memAlloc(binary.length);
        try (MemoryStack stack = MemoryStack.stackPush()) {
            bytes.put(binary).flip();
            IntBuffer status = stack.mallocInt(1);
            IntBuffer result = stack.mallocInt(1);
            long program = clCreateProgramWithBinary(
                    context.handle(), stack.pointers(context.info().id()), new ByteBuffer[] {bytes}, status, result);
            if (result.get(0) != CL_SUCCESS) {
                return 0;
            }
            if (build(program, all) != CL_SUCCESS) {
                clReleaseProgram(program);
                return 0;
            }
            return program;
        } finally {
            MemoryUtil.memFree(bytes);
        }
    }

    /** Empty where the driver does not give it: then it is built anew each time. */
    private static byte[] binary(long program) {
        try (MemoryStack stack = MemoryStack.stackPush();
                JvmSignals _ = JvmSignals.keep()) {
            PointerBuffer size = stack.mallocPointer(1);
            if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, size, null) != CL_SUCCESS || size.get(0) == 0) {
                return new byte[0];
            }
            ByteBuffer bytes = MemoryUtil.memAlloc((int) size.get(0));
            try {
                if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, stack.pointers(bytes), null) != CL_SUCCESS) {
                    return new byte[0];
                }
                byte[] binary = new byte[bytes.remaining()];
                bytes.get(binary);
                return binary;
            } finally {
                MemoryUtil.memFree(bytes);
            }
        }
    }

    private String log(long program) {
        try (MemoryStack stack = MemoryStack.stackPush()) {
            long device = context.info().id();
            PointerBuffer size = stack.mallocPointer(1);
            int failed = clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, (ByteBuffer) null, size);
            if (failed != CL_SUCCESS || size.get(0) == 0) {
                return "the driver gives no log";
            }
            ByteBuffer bytes = MemoryUtil.memAlloc((int) size.get(0));
            try {
                context.check(
                        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, bytes, null),
                        "asking for a build's log");
                return StandardCharsets.UTF_8
                        .decode(bytes)
                        .toString()
                        .replace("\0", "")
                        .strip();
            } finally {
                MemoryUtil.memFree(bytes);
            }
        }
    }

    @Override
    public void close() {
        kernels.values().forEach(kernel -> clReleaseKernel(kernel));
        programs.values().forEach(program -> clReleaseProgram(program));
        kernels.clear();
        programs.clear();
    }
}
