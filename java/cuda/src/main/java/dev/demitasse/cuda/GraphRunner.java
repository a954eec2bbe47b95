package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuGraphDestroy;
import static jcuda.driver.JCudaDriver.cuGraphExecDestroy;
import static jcuda.driver.JCudaDriver.cuGraphInstantiate;
import static jcuda.driver.JCudaDriver.cuGraphLaunch;
import static jcuda.driver.JCudaDriver.cuMemcpyDtoDAsync;
import static jcuda.driver.JCudaDriver.cuStreamBeginCapture;
import static jcuda.driver.JCudaDriver.cuStreamEndCapture;

import dev.demitasse.gpu.ListRunner;
import dev.demitasse.gpu.RunTimer;
import dev.demitasse.gpu.Step;
import java.util.List;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstreamCaptureMode;
import org.jspecify.annotations.Nullable;

/** Launches of kernels on a stream. A list that comes again is a CUDA graph, which costs one call. */
final class GraphRunner extends ListRunner<Launch, CUgraphExec> {
    /** Lists after which a graph is tried again, where one could not be made. */
    private static final int GRAPH_RETRY_LISTS = 256;

    private static final System.Logger LOG = System.getLogger(GraphRunner.class.getName());

    private final CudaContext context;
    private final KernelModules kernels;
    private final StepLaunches launches;
    private final KernelLauncher launcher;
    private final boolean overlap;
    private int listsWithoutGraphs; // how many are still launched one by one, after a graph could not be made
    private boolean graphFailureSaid;

    /**
     * A runner.
     *
     * @param overlap whether a kernel may begin before the one before it has ended: its blocks start and it reads its
     *     weights, while the last blocks of that one are still at work
     */
    GraphRunner(CudaContext context, KernelModules kernels, StepLaunches launches, boolean overlap) {
        super(context, new StagedData(context, context.copies()), new StagedData(context, context.copies()));
        this.context = context;
        this.launcher = new KernelLauncher(context.stream());
        this.overlap = overlap;
        this.kernels = kernels;
        this.launches = launches;
    }

    @Override
    protected void enter() {
        context.enter();
    }

    @Override
    protected boolean reserve(Step step) {
        return launches.reserve(step);
    }

    @Override
    protected List<Launch> lower(List<Step> fused) {
        return launches.lower(fused);
    }

    @Override
    protected RunTimer timer() {
        return new StreamTimer(context);
    }

    @Override
    protected boolean mayRecord(List<Launch> list) {
        if (list.stream().anyMatch(launch -> launch instanceof Launch.Call)) {
            return false;
        }
        if (listsWithoutGraphs > 0) {
            listsWithoutGraphs--;
            return false;
        }
        return true;
    }

    @Override
    protected void replay(CUgraphExec graph) {
        context.check(cuGraphLaunch(graph, context.stream()), "launching a graph");
    }

    @Override
    protected void destroy(CUgraphExec graph) {
        context.synchronize("waiting for a graph");
        cuGraphExecDestroy(graph);
    }

    /** As a graph; null where the driver cannot make one now. */
    @Override
    protected @Nullable CUgraphExec record(List<Launch> list) {
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

    @Override
    protected void launchAll(List<Launch> list) {
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
}
