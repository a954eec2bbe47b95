package dev.demitasse.gpu;

/** Device memory that grows to what was wanted most. What launches use it must have been started before it grows. */
public final class Workspace implements AutoCloseable {
    private final GpuMemory memory;
    private long address;
    private long bytes;

    /** An empty one. */
    public Workspace(GpuMemory memory) {
        this.memory = memory;
    }

    /** Makes room for {@code wanted} bytes, whose content is not kept; whether the address has changed. */
    public boolean reserve(long wanted) {
        if (wanted <= bytes) {
            return false;
        }
        close();
        long larger = wanted + wanted / 2;
        address = memory.allocate(larger, MemoryLedger.Purpose.WORKSPACE);
        bytes = larger;
        return true;
    }

    /** The address; 0 where nothing was reserved. */
    public long address() {
        return address;
    }

    /** Gives the memory back, when what was started on it is complete. */
    @Override
    public void close() {
        long old = address;
        if (old != 0 && memory.usable()) {
            long held = bytes;
            address = 0; // should waiting or the next allocation fail
            bytes = 0;
            memory.synchronize("waiting for a workspace");
            memory.free(old, held, MemoryLedger.Purpose.WORKSPACE);
        }
    }
}
