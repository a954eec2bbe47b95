package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventDestroy;
import static jcuda.driver.JCudaDriver.cuEventElapsedTime;
import static jcuda.driver.JCudaDriver.cuEventRecord;

import jcuda.driver.CUevent;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * One list of kernels on a GPU, for Java Flight Recorder; the event's own duration is the host's, from the launch to
 * the end.
 */
@Name("demitasse.CudaRun")
@Label("CUDA Run")
@Description("Kernels that were launched together")
@Category("Demitasse")
@Enabled(false)
@StackTrace(false)
final class RunEvent extends Event {
    @Label("Kernels")
    int kernels;

    @Label("Graph")
    @Description("Whether they were launched as one graph")
    boolean graph;

    @Label("GPU Microseconds")
    @Description("From the beginning of the first kernel to the end of the last, gaps included")
    double gpuMicroseconds;

    private final transient CUevent first = new CUevent();
    private final transient CUevent last = new CUevent();

    /** Begins before kernels are launched. */
    void begin(CudaContext context, int count) {
        kernels = count;
        context.check(cuEventCreate(first, 0), "making an event");
        context.check(cuEventCreate(last, 0), "making an event");
        begin();
        context.check(cuEventRecord(first, context.stream()), "recording an event");
    }

    /** After the launch of all. */
    void launched(CudaContext context, boolean asGraph) {
        graph = asGraph;
        context.check(cuEventRecord(last, context.stream()), "recording an event");
    }

    /** When the stream has been waited for. */
    void complete(CudaContext context) {
        end();
        float[] milliseconds = new float[1];
        context.check(cuEventElapsedTime(milliseconds, first, last), "asking for the time of kernels");
        gpuMicroseconds = milliseconds[0] * 1e3;
        cuEventDestroy(first);
        cuEventDestroy(last);
        commit();
    }
}
