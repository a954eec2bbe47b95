package dev.demitasse.cuda;

import dev.demitasse.gpu.MemoryLedger;
import org.jspecify.annotations.Nullable;

/** Device memory that grows to what was wanted most. What launches use it must have been started before it grows. */
final class Workspace implements AutoCloseable {
    private final CudaContext context;
    private @Nullable DevicePointer memory;
    private long bytes;

    Workspace(CudaContext context) {
        this.context = context;
    }

    /** Makes room for {@code wanted} bytes, whose content is not kept; whether the address has changed. */
    boolean reserve(long wanted) {
        if (wanted <= bytes) {
            return false;
        }
        close();
        long larger = wanted + wanted / 2;
        memory = context.allocate(larger, MemoryLedger.Purpose.WORKSPACE);
        bytes = larger;
        return true;
    }

    /** The address; 0 where nothing was reserved. */
    long address() {
        return memory == null ? 0 : memory.address();
    }

    /** Gives the memory back, when what was started on it is complete. */
    @Override
    public void close() {
        DevicePointer old = memory;
        if (old != null && context.usable()) {
            long held = bytes;
            memory = null; // should waiting or the next allocation fail
            bytes = 0;
            context.enter();
            context.synchronize("waiting for a workspace");
            context.free(old, held, MemoryLedger.Purpose.WORKSPACE);
        }
    }
}
