package dev.demitasse.cuda;

import org.jspecify.annotations.Nullable;

/** Device memory that grows to what was asked for most. */
final class Workspace implements AutoCloseable {
    private final CudaContext context;
    private final LaunchList launches;
    private @Nullable CudaMemory memory;

    Workspace(CudaContext context, LaunchList launches) {
        this.context = context;
        this.launches = launches;
    }

    /** The address of at least {@code bytes}. What was recorded on smaller memory is run before that goes. */
    long address(long bytes) {
        return memory(bytes).address();
    }

    /** The same as memory that can be read. */
    CudaMemory memory(long bytes) {
        CudaMemory current = memory;
        if (current == null || current.bytes() < bytes) {
            if (current != null) {
                memory = null; // should the allocation fail
                current.close();
            }
            current = new CudaMemory(bytes + bytes / 2, context, launches, CudaContext.Purpose.WORKSPACE);
            memory = current;
        }
        return current;
    }

    @Override
    public void close() {
        if (memory != null) {
            memory.close();
        }
    }
}
