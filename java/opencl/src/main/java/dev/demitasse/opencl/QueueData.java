package dev.demitasse.opencl;

import static org.lwjgl.opencl.CL10.clReleaseEvent;
import static org.lwjgl.opencl.CL10.clWaitForEvents;
import static org.lwjgl.opencl.CL12.clEnqueueMarkerWithWaitList;

import dev.demitasse.gpu.ListData;
import dev.demitasse.gpu.MemoryLedger;
import java.lang.foreign.MemorySegment;
import org.lwjgl.PointerBuffer;
import org.lwjgl.system.MemoryStack;

/** A list's data, copied by the queue before its kernels. */
final class QueueData extends ListData {
    private final OpenClContext context;
    private final HostStaging staging = new HostStaging(BYTES);
    private final long address;
    private long complete; // an event, or 0

    QueueData(OpenClContext context) {
        this.context = context;
        this.address = context.allocate(BYTES, MemoryLedger.Purpose.WORKSPACE);
    }

    @Override
    public MemorySegment memory() {
        return staging.segment();
    }

    @Override
    public long address() {
        return address;
    }

    @Override
    protected void copy(int bytes) {
        context.copy(address, staging.segment().address(), bytes, false, true);
    }

    @Override
    protected void mark() {
        release();
        try (MemoryStack stack = MemoryStack.stackPush()) {
            PointerBuffer event = stack.mallocPointer(1);
            context.check(clEnqueueMarkerWithWaitList(context.queue(), null, event), "enqueueing a marker");
            complete = event.get(0);
        }
    }

    @Override
    protected void awaitMark() {
        context.check(clWaitForEvents(complete), "running kernels");
    }

    private void release() {
        if (complete != 0) {
            clReleaseEvent(complete);
            complete = 0;
        }
    }

    @Override
    public void close() {
        release();
        context.free(address, BYTES, MemoryLedger.Purpose.WORKSPACE);
        staging.close();
    }
}
