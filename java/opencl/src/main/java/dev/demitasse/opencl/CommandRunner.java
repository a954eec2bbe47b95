package dev.demitasse.opencl;

import static org.lwjgl.opencl.CL10.clFlush;
import static org.lwjgl.opencl.CL10.clReleaseKernel;
import static org.lwjgl.opencl.CL10.clSetKernelArg;
import static org.lwjgl.opencl.CL10.nclEnqueueCopyBuffer;
import static org.lwjgl.opencl.CL10.nclEnqueueNDRangeKernel;
import static org.lwjgl.opencl.CL10.nclSetKernelArg;

import dev.demitasse.gpu.ListRunner;
import dev.demitasse.gpu.RunTimer;
import dev.demitasse.gpu.Step;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.lwjgl.system.MemoryStack;
import org.lwjgl.system.MemoryUtil;
import org.lwjgl.system.Pointer;

/** Launches of kernels on the queue. A list that comes again has kernels whose arguments are set already. */
final class CommandRunner extends ListRunner<Launch, CommandRunner.Recorded> {
    private static final int DIMENSIONS = 3;

    private final OpenClContext context;
    private final Programs programs;
    private final StepLaunches launches;

    /** Launches in their order; {@code kernels} has each one's kernel with its arguments, or 0 for a copy. */
    record Recorded(List<Launch> list, long[] kernels) {}

    CommandRunner(OpenClContext context, Programs programs, StepLaunches launches) {
        super(context, new QueueData(context), new QueueData(context));
        this.context = context;
        this.programs = programs;
        this.launches = launches;
    }

    @Override
    protected void enter() {
        context.requireUsable();
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
        return new HostTimer(context);
    }

    @Override
    protected boolean mayRecord(List<Launch> list) {
        return true;
    }

    @Override
    protected void launchAll(List<Launch> list) {
        for (Launch launch : list) {
            if (launch instanceof Launch.Kernel kernel) {
                long handle = programs.get(kernel.kernel());
                setArguments(handle, kernel);
                start(launch, handle);
            } else {
                start(launch, 0);
            }
        }
        flush();
    }

    @Override
    protected Recorded record(List<Launch> list) {
        long[] kernels = new long[list.size()];
        for (int i = 0; i < kernels.length; i++) {
            if (list.get(i) instanceof Launch.Kernel kernel) {
                kernels[i] = programs.create(kernel.kernel());
                setArguments(kernels[i], kernel);
            }
        }
        return new Recorded(new ArrayList<>(list), kernels);
    }

    @Override
    protected void replay(Recorded recorded) {
        for (int i = 0; i < recorded.kernels.length; i++) {
            start(recorded.list.get(i), recorded.kernels[i]);
        }
        flush();
    }

    /** What is under way keeps its kernels. */
    @Override
    protected void destroy(Recorded recorded) {
        for (long kernel : recorded.kernels) {
            if (kernel != 0) {
                clReleaseKernel(kernel);
            }
        }
    }

    private void setArguments(long kernel, Launch.Kernel launch) {
        try (MemoryStack stack = MemoryStack.stackPush()) {
            int index = 0;
            for (long address : launch.buffers()) {
                long pointer = stack.npointer(context.buffer(address));
                context.check(
                        nclSetKernelArg(kernel, index++, Pointer.POINTER_SIZE, pointer),
                        "setting a buffer of",
                        launch.kernel());
            }
            ByteBuffer words = stack.malloc(Long.BYTES, launch.words().length * Long.BYTES);
            words.asLongBuffer().put(launch.words());
            context.check(clSetKernelArg(kernel, index, words), "setting the arguments of", launch.kernel());
        }
    }

    private void start(Launch launch, long kernel) {
        switch (launch) {
            case Launch.Kernel k -> start(k, kernel);
            case Launch.Copy copy ->
                context.check(
                        nclEnqueueCopyBuffer(
                                context.queue(),
                                context.buffer(copy.from()),
                                context.buffer(copy.to()),
                                OpenClContext.offset(copy.from()),
                                OpenClContext.offset(copy.to()),
                                copy.bytes(),
                                0,
                                0,
                                0),
                        "copying to a buffer");
            case Launch.Read read -> context.copy(read.from(), read.host(), read.bytes(), false, false);
        }
    }

    private void start(Launch.Kernel launch, long kernel) {
        try (MemoryStack stack = MemoryStack.stackPush()) {
            Launch.Grid grid = launch.grid();
            long global = stack.nmalloc(Pointer.POINTER_SIZE, DIMENSIONS * Pointer.POINTER_SIZE);
            long local = stack.nmalloc(Pointer.POINTER_SIZE, DIMENSIONS * Pointer.POINTER_SIZE);
            put(global, grid.x() * grid.items(), grid.y(), grid.z());
            put(local, grid.items(), 1, 1);
            context.check(
                    nclEnqueueNDRangeKernel(context.queue(), kernel, DIMENSIONS, 0, global, local, 0, 0, 0),
                    "launching",
                    launch.kernel());
        }
    }

    private static void put(long at, long x, long y, long z) {
        MemoryUtil.memPutAddress(at, x);
        MemoryUtil.memPutAddress(at + Pointer.POINTER_SIZE, y);
        MemoryUtil.memPutAddress(at + 2L * Pointer.POINTER_SIZE, z);
    }

    private void flush() {
        context.check(clFlush(context.queue()), "starting kernels");
    }
}
