package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventDestroy;
import static jcuda.driver.JCudaDriver.cuEventElapsedTime;
import static jcuda.driver.JCudaDriver.cuEventRecord;

import jcuda.driver.CUevent;

/** How long what is launched between two calls takes on the GPU, gaps included. For one use. */
final class StreamTimer {
    private final CudaContext context;
    private final CUevent first = new CUevent();
    private final CUevent last = new CUevent();

    StreamTimer(CudaContext context) {
        this.context = context;
        context.check(cuEventCreate(first, 0), "making an event");
        context.check(cuEventCreate(last, 0), "making an event");
    }

    /** Before the launches. */
    void begin() {
        context.check(cuEventRecord(first, context.stream()), "recording an event");
    }

    /** After the launches. */
    void end() {
        context.check(cuEventRecord(last, context.stream()), "recording an event");
    }

    /** The time, once the stream was waited for. */
    double microseconds() {
        float[] milliseconds = new float[1];
        context.check(cuEventElapsedTime(milliseconds, first, last), "asking for the time of kernels");
        cuEventDestroy(first);
        cuEventDestroy(last);
        return milliseconds[0] * 1e3;
    }
}
