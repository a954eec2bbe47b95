package dev.demitasse.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuLaunchKernel;
import static jcuda.driver.JCudaDriver.cuMemFreeHost;
import static jcuda.driver.JCudaDriver.cuMemHostAlloc;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoDAsync;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;

import dev.demitasse.exception.UsageException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jcuda.Pointer;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstreamCaptureMode;
import org.jspecify.annotations.Nullable;

/**
 * Kernel launches that wait to be run together: operations are recorded, and {@link #run} runs them when a result is wanted.
 *
 * <p>What changes from step to step (token ids, positions, page tables, angles) is not in the launches but in the step's data, which
 * goes to device memory with one copy at the beginning. So the launches of a decode step are the same every time; a list that comes a
 * second time is captured into a CUDA graph, copy included, and from then on costs one call.
 */
final class LaunchList implements AutoCloseable {
    private static final int DATA_BYTES = 8 << 20;
    private static final int ALIGNMENT = 16;
    private static final int GRAPHS = 64;
    /** Lists after which a graph is tried again, where one could not be made. */
    private static final int GRAPH_RETRY_LISTS = 256;
    /** Room for one kernel's argument structure, and its address before it. */
    private static final long PARAMETER_BYTES = 1024;

    private static final System.Logger LOG = System.getLogger(LaunchList.class.getName());

    private final CudaContext context;
    private final KernelModules kernels;
    private final Pointer staging = new Pointer(); // pinned host memory
    private final MemorySegment data;
    private final DevicePointer deviceData;
    private final Map<Key, Graph> graphs = new LinkedHashMap<>(16, 0.75f, true);
    private final List<Runnable> listeners = new ArrayList<>();
    private List<Step> steps = new ArrayList<>();
    private int used;
    private boolean called;
    private boolean underWay; // the staging memory may still be read
    private final List<RunEvent> events = new ArrayList<>(); // of what is under way
    private final MemorySegment parameters = Arena.ofAuto().allocate(PARAMETER_BYTES, Long.BYTES);
    private final Pointer parameterPointer = Pointer.to(parameters.asByteBuffer());
    private int listsWithoutGraphs; // how many are still launched one by one, after a graph could not be made
    private boolean graphFailureSaid;
    private int replays;
    private int started; // launches, in graphs or alone

    /** What a list is made of. */
    sealed interface Step permits Launch, Call, Copy {}

    /**
     * A kernel's launch.
     *
     * @param kernel its name
     * @param x blocks along x
     * @param y blocks along y
     * @param z blocks along z
     * @param threads of a block
     * @param sharedBytes dynamic shared memory of a block
     * @param arguments the words of the kernel's structure
     * @param quantising how it also quantises what it writes; null where it cannot
     */
    record Launch(
            String kernel,
            int x,
            int y,
            int z,
            int threads,
            int sharedBytes,
            long[] arguments,
            @Nullable Quantising quantising)
            implements Step {
        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Launch o
                    && kernel.equals(o.kernel)
                    && x == o.x
                    && y == o.y
                    && z == o.z
                    && threads == o.threads
                    && sharedBytes == o.sharedBytes
                    && Arrays.equals(arguments, o.arguments);
        }

        @Override
        public int hashCode() {
            return 31 * kernel.hashCode() + Arrays.hashCode(arguments) + 7 * x + 5 * y + 3 * z;
        }
    }

    /** How a launch that writes rows of activations is made to quantise them, too. */
    @FunctionalInterface
    interface Quantising {
        /** The launch that does both; null where it does not write {@code rows} rows of {@code columns} to {@code x}. */
        @Nullable
        Launch launch(long x, int rows, int columns, QuantizedRows to);
    }

    /**
     * Work that a library enqueues on the stream, and that no graph can hold.
     *
     * @param action enqueues it
     */
    record Call(Runnable action) implements Step {}

    /** From the step's data to a buffer. */
    record Copy(DevicePointer to, long address, int from, int bytes) implements Step {
        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Copy o && address == o.address && from == o.from && bytes == o.bytes;
        }

        @Override
        public int hashCode() {
            return Long.hashCode(address) + from;
        }
    }

    /** {@code called}: whether there is a {@link Call} among the steps. */
    private record Key(List<Step> steps, int used, boolean called) {}

    /** A list that was seen; its graph from the second time on. */
    private static final class Graph {
        @Nullable
        CUgraphExec executable;
    }

    LaunchList(CudaContext context, KernelModules kernels) {
        this.context = context;
        this.kernels = kernels;
        context.check(cuMemHostAlloc(staging, DATA_BYTES, 0), "allocating pinned memory");
        data = MemorySegment.ofBuffer(staging.getByteBuffer(0, DATA_BYTES));
        deviceData = context.allocate(DATA_BYTES, CudaContext.Purpose.WORKSPACE);
    }

    /** Called when what was recorded is run or dropped, and the step's data is gone. */
    void afterRun(Runnable listener) {
        listeners.add(listener);
    }

    /** Runs what waits where the step's data has no room for that many more bytes. */
    void reserve(long bytes) {
        if (bytes > DATA_BYTES) {
            throw new UsageException(
                    "One operation brings " + bytes + " bytes of indices; at most " + DATA_BYTES + " fit.");
        }
        if (used + bytes > DATA_BYTES) {
            run();
        }
    }

    /** The device address of a copy of {@code count} integers, and room for {@code capacity} of them. */
    long put(int[] values, int count, int capacity) {
        int offset = place(4L * Math.max(capacity, count));
        MemorySegment.copy(values, 0, data, JAVA_INT, offset, count);
        return deviceData.address() + offset;
    }

    /** Records a copy of host memory to a device address. */
    void put(MemorySegment source, DevicePointer to) {
        int offset = place(source.byteSize());
        data.asSlice(offset, source.byteSize()).copyFrom(source);
        steps.add(new Copy(to, to.address(), offset, (int) source.byteSize()));
    }

    private int place(long bytes) {
        context.requireUsable(); // the staging memory is gone with the context
        reserve(bytes);
        if (underWay) {
            synchronize();
        }
        int offset = used;
        used += (int) ((bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
        return offset;
    }

    /** Records a launch; the arguments are the words of the kernel's structure. */
    void add(String kernel, int x, int y, int z, int threads, int sharedBytes, long... arguments) {
        add(new Launch(kernel, x, y, z, threads, sharedBytes, arguments, null));
    }

    /** Records a launch, unless it has no blocks. */
    void add(Launch launch) {
        if (launch.x > 0 && launch.y > 0 && launch.z > 0) {
            steps.add(launch);
        }
    }

    /** Records work of a library. */
    void call(Runnable action) {
        steps.add(new Call(action));
        called = true;
    }

    /** What was recorded last but {@code before}, where it is a launch of that kernel. */
    @Nullable
    Launch last(int before, String kernel) {
        return last(before) instanceof Launch launch && launch.kernel.equals(kernel) ? launch : null;
    }

    private @Nullable Step last(int before) {
        return steps.size() > before ? steps.get(steps.size() - 1 - before) : null;
    }

    /** Takes back the last {@code count} launches, which the next one does as well. */
    void removeLast(int count) {
        steps.subList(steps.size() - count, steps.size()).clear();
    }

    /** Whether what was recorded last now also quantises the rows that it writes. */
    boolean quantiseByLast(long x, int rows, int columns, QuantizedRows to) {
        if (!(last(0) instanceof Launch plain) || plain.quantising == null) {
            return false;
        }
        Launch both = plain.quantising.launch(x, rows, columns, to);
        if (both == null) {
            return false;
        }
        removeLast(1);
        add(both);
        return true;
    }

    /** How often a graph was launched. */
    int replays() {
        return replays;
    }

    /** How many kernels were started. */
    int started() {
        return started;
    }

    /** Starts what was recorded. */
    void run() {
        if (steps.isEmpty()) {
            return;
        }
        context.enter();
        Key key = new Key(steps, used, called);
        started += steps.size();
        discard();
        RunEvent event = new RunEvent();
        boolean measured = event.isEnabled();
        if (measured) {
            event.begin(context, key.steps.size());
        }
        boolean replayed = replay(key);
        if (!replayed) {
            launchAll(key);
        }
        if (measured) {
            event.launched(context, replayed);
            events.add(event);
        }
        underWay = true;
    }

    /** Launches the list's graph, where it has or can have one: from the second time on. */
    private boolean replay(Key key) {
        if (key.called) {
            return false;
        }
        if (listsWithoutGraphs > 0) {
            listsWithoutGraphs--;
            return false;
        }
        Graph graph = graphs.get(key);
        if (graph == null) {
            remember(key);
            return false;
        }
        if (graph.executable == null) {
            graph.executable = capture(key);
        }
        if (graph.executable == null) {
            return false;
        }
        context.check(cuGraphLaunch(graph.executable, context.stream()), "launching a graph");
        replays++;
        return true;
    }

    /** Runs what was recorded, and waits until it is complete. */
    void synchronize() {
        run();
        context.enter();
        context.synchronize("running kernels");
        underWay = false;
        events.forEach(event -> event.complete(context));
        events.clear();
    }

    private void remember(Key key) {
        graphs.put(key, new Graph());
        if (graphs.size() > GRAPHS) {
            Map.Entry<Key, Graph> eldest = graphs.entrySet().iterator().next();
            destroy(eldest.getValue());
            graphs.remove(eldest.getKey());
        }
    }

    /** The list as a graph; null where the driver cannot make one now. */
    private @Nullable CUgraphExec capture(Key key) {
        key.steps.forEach(step -> {
            if (step instanceof Launch launch) {
                kernels.get(launch.kernel, launch.sharedBytes); // nothing is loaded during a capture
            }
        });
        CUgraph graph = new CUgraph();
        context.check(
                cuStreamBeginCapture(context.stream(), CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                "beginning a capture");
        try {
            launchAll(key);
        } catch (RuntimeException | Error e) {
            if (cuStreamEndCapture(context.stream(), graph) == 0) {
                cuGraphDestroy(graph);
            }
            throw e;
        }
        context.check(cuStreamEndCapture(context.stream(), graph), "ending a capture");
        CUgraphExec executable = new CUgraphExec();
        int failed = cuGraphInstantiate(executable, graph, 0);
        context.check(cuGraphDestroy(graph), "making a graph");
        if (failed != 0) {
            listsWithoutGraphs = GRAPH_RETRY_LISTS;
            LOG.log(
                    graphFailureSaid ? System.Logger.Level.DEBUG : System.Logger.Level.WARNING,
                    "cuda: {0} while making a graph; for a while kernels are launched one by one, which is slower",
                    Driver.name(failed));
            graphFailureSaid = true;
            return null;
        }
        return executable;
    }

    private void launchAll(Key key) {
        if (key.used > 0) {
            context.check(
                    cuMemcpyHtoDAsync(deviceData, staging, key.used, context.stream()), "copying the step's data");
        }
        for (Step step : key.steps) {
            switch (step) {
                case Launch l ->
                    context.check(
                            cuLaunchKernel(
                                    kernels.get(l.kernel, l.sharedBytes),
                                    l.x,
                                    l.y,
                                    l.z,
                                    l.threads,
                                    1,
                                    1,
                                    l.sharedBytes,
                                    context.stream(),
                                    parameters(l.arguments),
                                    null),
                            "launching " + l.kernel);
                case Call call -> call.action.run();
                case Copy c ->
                    context.check(
                            cuMemcpyDtoDAsync(c.to, deviceData.at(c.from), c.bytes, context.stream()),
                            "copying to a buffer");
            }
        }
    }

    /**
     * A kernel's one parameter, its structure, as the driver wants it: the address of its words. They lie outside of the heap, since
     * JCuda would hold a Java array critical across further calls of JNI. The driver has copied them when the launch returns.
     */
    private Pointer parameters(long[] words) {
        MemorySegment structure = parameters.asSlice(Long.BYTES);
        MemorySegment.copy(words, 0, structure, JAVA_LONG, 0, words.length);
        parameters.set(JAVA_LONG, 0, structure.address());
        return parameterPointer;
    }

    /** Drops what was recorded. */
    void discard() {
        steps = new ArrayList<>();
        used = 0;
        called = false;
        listeners.forEach(Runnable::run);
    }

    private void destroy(Graph graph) {
        if (graph.executable != null) {
            context.synchronize("waiting for a graph");
            cuGraphExecDestroy(graph.executable);
        }
    }

    /** Drops what was not run. */
    @Override
    public void close() {
        steps.clear();
        if (context.usable()) {
            context.enter();
            context.synchronize("closing");
            graphs.values().forEach(this::destroy);
            context.free(deviceData, DATA_BYTES, CudaContext.Purpose.WORKSPACE);
            cuMemFreeHost(staging);
        }
        graphs.clear();
    }
}
