package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoDAsync;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;

import dev.demitasse.gpu.Fusions;
import dev.demitasse.gpu.Step;
import dev.demitasse.gpu.StepData;
import dev.demitasse.gpu.StepList;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstreamCaptureMode;
import org.jspecify.annotations.Nullable;

/**
 * Runs lists of steps: fuses them, makes launches of them, and starts those. A list that comes a second time is
 * captured into a CUDA graph, and from then on costs one call and the copy of its data, without being looked at again.
 */
final class GraphRunner implements StepList.Runner, AutoCloseable {
    private static final int GRAPHS = 64;
    /** Lists after which a graph is tried again, where one could not be made. */
    private static final int GRAPH_RETRY_LISTS = 256;

    private static final System.Logger LOG = System.getLogger(GraphRunner.class.getName());

    private final CudaContext context;
    private final KernelModules kernels;
    private final StepLaunches launches;
    private final StepList steps;
    private final List<StagedData> data; // two: one is written while a list reads the other
    private final Map<Key, Graph> graphs = new LinkedHashMap<>(16, 0.75f, true);
    private final IdentityHashMap<List<Step>, Key> keys = new IdentityHashMap<>(); // those of graphs
    private final List<RunEvent> events = new ArrayList<>(); // of lists without data that are under way
    private final List<CudaTokens> sampled = new ArrayList<>(); // by what is recorded
    private long runs;
    private final KernelLauncher launcher;
    private final boolean overlap;
    private int listsWithoutGraphs; // how many are still launched one by one, after a graph could not be made
    private boolean graphFailureSaid;
    private int replays;
    private int started; // launches, in graphs or alone

    /**
     * A list that was launched, for those who wait for it.
     *
     * @param data of it
     * @param number which launch of that
     */
    record Ticket(StagedData data, long number) {}

    /** Equal lists; its hash is made once. */
    private static final class Key {
        final List<Step> steps;
        private final int hash;

        Key(List<Step> steps) {
            this.steps = steps;
            hash = steps.hashCode();
        }

        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Key key && hash == key.hash && steps.equals(key.steps);
        }
    }

    /** A list that was seen; its graph from the second time on. */
    private static final class Graph {
        final Key key;

        @Nullable
        CUgraphExec executable;

        int launches;

        Graph(Key key) {
            this.key = key;
        }
    }

    /**
     * A runner.
     *
     * @param overlap whether a kernel may begin before the one before it has ended: its blocks start and it reads its
     *     weights, while the last blocks of that one are still at work
     */
    GraphRunner(CudaContext context, KernelModules kernels, StepLaunches launches, boolean overlap) {
        this.context = context;
        this.launcher = new KernelLauncher(context.stream());
        this.overlap = overlap;
        this.kernels = kernels;
        this.launches = launches;
        data = List.of(new StagedData(context, context.copies()), new StagedData(context, context.copies()));
        steps = new StepList(this, StagedData.BYTES);
    }

    /** What waits to be run. */
    StepList steps() {
        return steps;
    }

    /** How often a graph was launched. */
    int replays() {
        return replays;
    }

    /** How many kernels were started. */
    int started() {
        return started;
    }

    @Override
    public void prepare(Step step) {
        boolean moved = true; // where it fails some may have
        try {
            moved = launches.reserve(step);
        } finally {
            if (moved && context.usable()) {
                forgetGraphs(); // they write to where the workspaces were
            }
        }
    }

    @Override
    public List<Step> run(List<Step> recorded, @Nullable StepData stepData, int dataBytes) {
        context.enter();
        StagedData staged = dataBytes == 0 ? null : (StagedData) stepData;
        if (staged != null) {
            staged.copy(dataBytes);
        }
        Key key = key(recorded);
        Graph graph = listsWithoutGraphs > 0 ? null : graphs.get(key);
        RunEvent event;
        if (graph != null && graph.executable != null) {
            event = replay(graph, graph.executable);
        } else {
            List<Launch> list = launches.lower(Fusions.apply(recorded));
            started += list.size();
            event = begin(list.size());
            boolean replayed = launchAsGraph(key, graph, list);
            if (!replayed) {
                launchAll(list);
            }
            launched(event, replayed);
        }
        underWay(staged, event);
        return graph == null ? recorded : graph.key.steps;
    }

    /** The key of a list; the one that it has already, where it is a list that was kept. */
    private Key key(List<Step> recorded) {
        Key kept = keys.get(recorded);
        return kept != null ? kept : new Key(recorded);
    }

    /** After a launch: who waits for it, and for what. */
    private void underWay(@Nullable StagedData staged, @Nullable RunEvent event) {
        if (staged != null) {
            staged.launched(++runs);
            Ticket ticket = new Ticket(staged, runs);
            sampled.forEach(tokens -> tokens.launched(ticket));
        }
        sampled.clear();
        if (event != null && staged != null) {
            staged.add(event);
        } else if (event != null) {
            events.add(event);
        }
    }

    /** Tokens that are chosen by a step that was just recorded. */
    void sampled(CudaTokens tokens) {
        sampled.add(tokens);
    }

    @Override
    public void dropped() {
        sampled.clear();
    }

    /** Waits for a launch, and for nothing after it. */
    void await(Ticket ticket) {
        context.enter();
        if (ticket.number == ticket.data.launch()) {
            ticket.data.await();
        }
    }

    private @Nullable RunEvent replay(Graph graph, CUgraphExec executable) {
        started += graph.launches;
        RunEvent event = begin(graph.launches);
        context.check(cuGraphLaunch(executable, context.stream()), "launching a graph");
        replays++;
        launched(event, true);
        return event;
    }

    private @Nullable RunEvent begin(int count) {
        RunEvent event = new RunEvent();
        if (!event.isEnabled()) {
            return null;
        }
        event.begin(context, count);
        return event;
    }

    private void launched(@Nullable RunEvent event, boolean replayed) {
        if (event != null) {
            event.launched(replayed);
        }
    }

    /** Makes and launches the list's graph, where it can have one: the second time. */
    private boolean launchAsGraph(Key key, @Nullable Graph seen, List<Launch> list) {
        if (list.stream().anyMatch(launch -> launch instanceof Launch.Call)) {
            return false;
        }
        if (listsWithoutGraphs > 0) {
            listsWithoutGraphs--;
            return false;
        }
        if (seen == null) {
            remember(key);
            return false;
        }
        seen.executable = capture(list);
        seen.launches = list.size();
        if (seen.executable == null) {
            return false;
        }
        context.check(cuGraphLaunch(seen.executable, context.stream()), "launching a graph");
        replays++;
        return true;
    }

    @Override
    public StepData data() {
        context.requireUsable(); // the staging memory is gone with the context
        StagedData first = data.get(0);
        StagedData second = data.get(1);
        StagedData older = first.launch() < second.launch() ? first : second;
        StagedData chosen = !first.busy() ? first : !second.busy() ? second : older;
        if (chosen.busy()) {
            context.enter();
            chosen.await();
        }
        return chosen;
    }

    /** Runs what was recorded, and waits until it is complete. */
    void synchronize() {
        steps.run();
        context.enter();
        context.synchronize("running kernels");
        data.forEach(StagedData::completed);
        events.forEach(RunEvent::complete);
        events.clear();
    }

    /** Runs what was recorded, and waits; microseconds on the GPU. */
    double microseconds() {
        context.enter();
        StreamTimer timer = new StreamTimer(context);
        timer.begin();
        steps.run();
        timer.end();
        synchronize();
        return timer.microseconds();
    }

    private void remember(Key key) {
        graphs.put(key, new Graph(key));
        keys.put(key.steps, key);
        if (graphs.size() > GRAPHS) {
            Graph eldest = graphs.values().iterator().next();
            destroy(eldest);
            graphs.remove(eldest.key);
            keys.remove(eldest.key.steps);
        }
    }

    /** The list as a graph; null where the driver cannot make one now. */
    private @Nullable CUgraphExec capture(List<Launch> list) {
        for (Launch launch : list) {
            if (launch instanceof Launch.Kernel kernel) {
                kernels.get(kernel.kernel(), kernel.grid().sharedBytes()); // nothing is loaded during a capture
            }
        }
        CUgraph graph = new CUgraph();
        context.check(
                cuStreamBeginCapture(context.stream(), CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                "beginning a capture");
        try {
            launchAll(list);
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

    private void launchAll(List<Launch> list) {
        boolean afterKernel = false;
        for (Launch launch : list) {
            switch (launch) {
                case Launch.Kernel kernel -> launch(kernel, overlap && afterKernel);
                case Launch.Call call -> call.action().run();
                case Launch.Copy copy ->
                    context.check(
                            cuMemcpyDtoDAsync(
                                    DevicePointer.of(copy.to()),
                                    DevicePointer.of(copy.from()),
                                    copy.bytes(),
                                    context.stream()),
                            "copying to a buffer");
            }
            afterKernel = launch instanceof Launch.Kernel;
        }
    }

    private void launch(Launch.Kernel kernel, boolean overlaps) {
        KernelFunction function = kernels.get(kernel.kernel(), kernel.grid().sharedBytes());
        context.check(launcher.launch(function, kernel, overlaps), "launching " + kernel.kernel());
    }

    private void destroy(Graph graph) {
        if (graph.executable != null) {
            context.synchronize("waiting for a graph");
            cuGraphExecDestroy(graph.executable);
        }
    }

    /** Drops all graphs. */
    void forgetGraphs() {
        graphs.values().forEach(this::destroy);
        graphs.clear();
        keys.clear();
    }

    /** Drops what was not run. */
    @Override
    public void close() {
        steps.discard();
        if (context.usable()) {
            context.enter();
            context.synchronize("closing");
            forgetGraphs();
            data.forEach(StagedData::close);
        }
        graphs.clear();
        keys.clear();
    }
}
