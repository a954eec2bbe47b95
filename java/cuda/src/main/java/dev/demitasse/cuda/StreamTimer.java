package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventDestroy;
import static jcuda.driver.JCudaDriver.cuEventElapsedTime;
import static jcuda.driver.JCudaDriver.cuEventRecord;

import dev.demitasse.gpu.RunTimer;
import jcuda.driver.CUevent;

/** The time of the stream, by events. */
final class StreamTimer implements RunTimer {
    private final CudaContext context;
    private final CUevent first = new CUevent();
    private final CUevent last = new CUevent();

    StreamTimer(CudaContext context) {
        this.context = context;
        context.check(cuEventCreate(first, 0), "making an event");
        context.check(cuEventCreate(last, 0), "making an event");
    }

    @Override
    public void begin() {
        context.check(cuEventRecord(first, context.stream()), "recording an event");
    }

    @Override
    public void end() {
        context.check(cuEventRecord(last, context.stream()), "recording an event");
    }

    @Override
    public double microseconds() {
        float[] milliseconds = new float[1];
        context.check(cuEventElapsedTime(milliseconds, first, last), "asking for the time of kernels");
        cuEventDestroy(first);
        cuEventDestroy(last);
        return milliseconds[0] * 1e3;
    }
}
