package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventDestroy;
import static jcuda.driver.JCudaDriver.cuEventRecord;
import static jcuda.driver.JCudaDriver.cuEventSynchronize;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuStreamWaitEvent;

import dev.demitasse.gpu.ListData;
import dev.demitasse.gpu.MemoryLedger;
import dev.demitasse.gpu.StagingMemory;
import java.lang.foreign.MemorySegment;
import jcuda.Pointer;
import jcuda.driver.CUevent;

/**
 * A list's data in pinned memory of the host, and its copy on the device. Copies have a stream of their own, so that
 * the data of a list come while the list before it runs.
 */
final class StagedData extends ListData {
    private static final int NO_TIMING = 2;

    private final CudaContext context;
    private final StagingMemory staging;
    private final Pointer host;
    private final long address;
    private final CudaStream copies;
    private final CUevent copied = new CUevent();
    private final CUevent complete = new CUevent();

    StagedData(CudaContext context, CudaStream copies) {
        this.context = context;
        this.copies = copies;
        staging = context.allocateStaging(BYTES);
        host = Pointer.to(staging.segment().asByteBuffer());
        address = context.allocate(BYTES, MemoryLedger.Purpose.WORKSPACE);
        context.synchronize("zeroing memory"); // before another stream writes there
        context.check(cuEventCreate(copied, NO_TIMING), "making an event");
        context.check(cuEventCreate(complete, NO_TIMING), "making an event");
    }

    @Override
    public MemorySegment memory() {
        return staging.segment();
    }

    @Override
    public long address() {
        return address;
    }

    /** Has the stream wait for the copy. */
    @Override
    protected void copy(int bytes) {
        context.check(cuMemcpyHtoDAsync(DevicePointer.of(address), host, bytes, copies), "copying the step's data");
        context.check(cuEventRecord(copied, copies), "recording an event");
        context.check(cuStreamWaitEvent(context.stream(), copied, 0), "waiting for the step's data");
    }

    @Override
    protected void mark() {
        context.check(cuEventRecord(complete, context.stream()), "recording an event");
    }

    @Override
    protected void awaitMark() {
        context.check(cuEventSynchronize(complete), "running kernels");
    }

    @Override
    public void close() {
        cuEventDestroy(copied);
        cuEventDestroy(complete);
        context.free(address, BYTES, MemoryLedger.Purpose.WORKSPACE);
        staging.close();
    }
}
