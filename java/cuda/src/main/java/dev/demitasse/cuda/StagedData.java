package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuEventCreate;
import static jcuda.driver.JCudaDriver.cuEventDestroy;
import static jcuda.driver.JCudaDriver.cuEventRecord;
import static jcuda.driver.JCudaDriver.cuEventSynchronize;
import static jcuda.driver.JCudaDriver.cuMemFreeHost;
import static jcuda.driver.JCudaDriver.cuMemcpyHtoDAsync;
import static jcuda.driver.JCudaDriver.cuStreamWaitEvent;

import dev.demitasse.gpu.MemoryLedger;
import dev.demitasse.gpu.StepData;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import jcuda.Pointer;
import jcuda.driver.CUevent;

/**
 * Memory for the data of a list of steps: pinned on the host, and its copy on the device. It is busy from the launch of
 * the list until that is complete. Copies have a stream of their own, so that the data of a list come while the list
 * before it runs.
 */
final class StagedData implements StepData, AutoCloseable {
    static final int BYTES = 8 << 20;
    private static final int NO_TIMING = 2;

    private final CudaContext context;
    private final Pointer staging = new Pointer();
    private final MemorySegment memory;
    private final DevicePointer device;
    private final CudaStream copies;
    private final CUevent copied = new CUevent();
    private final CUevent complete = new CUevent();
    private final List<RunEvent> events = new ArrayList<>();
    private long launch; // the number of the last one
    private boolean busy;

    StagedData(CudaContext context, CudaStream copies) {
        this.context = context;
        this.copies = copies;
        context.enter();
        context.allocatePinned(staging, BYTES);
        memory = MemorySegment.ofBuffer(staging.getByteBuffer(0, BYTES));
        device = context.allocate(BYTES, MemoryLedger.Purpose.WORKSPACE);
        context.synchronize("zeroing memory"); // before another stream writes there
        context.check(cuEventCreate(copied, NO_TIMING), "making an event");
        context.check(cuEventCreate(complete, NO_TIMING), "making an event");
    }

    @Override
    public MemorySegment memory() {
        return memory;
    }

    @Override
    public long address() {
        return device.address();
    }

    boolean busy() {
        return busy;
    }

    long launch() {
        return launch;
    }

    /** Copies it to the device, and has the stream wait for that. */
    void copy(int bytes) {
        context.check(cuMemcpyHtoDAsync(device, staging, bytes, copies), "copying the step's data");
        context.check(cuEventRecord(copied, copies), "recording an event");
        context.check(cuStreamWaitEvent(context.stream(), copied, 0), "waiting for the step's data");
    }

    /** A list that reads it has been launched. */
    void launched(long number) {
        context.check(cuEventRecord(complete, context.stream()), "recording an event");
        launch = number;
        busy = true;
    }

    /** Tells {@code event} when the list is known to be complete. */
    void add(RunEvent event) {
        events.add(event);
    }

    /** Waits until the list is complete. */
    void await() {
        if (busy) {
            context.check(cuEventSynchronize(complete), "running kernels");
            completed();
        }
    }

    /** The list is complete. */
    void completed() {
        busy = false;
        events.forEach(RunEvent::complete);
        events.clear();
    }

    /** Gives it back; nothing must be under way. */
    @Override
    public void close() {
        cuEventDestroy(copied);
        cuEventDestroy(complete);
        context.free(device, BYTES, MemoryLedger.Purpose.WORKSPACE);
        cuMemFreeHost(staging);
    }
}
