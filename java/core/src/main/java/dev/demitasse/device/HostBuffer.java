package dev.demitasse.device;

import dev.demitasse.UsageException;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** A buffer of a CPU device. */
public final class HostBuffer implements Buffer {
    private final HostMemory memory;

    /** A zeroed buffer. */
    public HostBuffer(long bytes) {
        memory = HostMemory.allocate(bytes);
    }

    /**
     * The buffer as one of a CPU device, with at least {@code bytes} bytes.
     *
     * @throws UsageException where it is of another device or shorter
     */
    public static HostBuffer of(Buffer buffer, long bytes) {
        if (!(buffer instanceof HostBuffer host)) {
            throw new UsageException("A buffer of another device was given to a CPU device.");
        }
        if (bytes < 0 || bytes > host.bytes()) {
            throw new UsageException("An operation needs " + bytes + " bytes of a buffer of " + host.bytes() + ".");
        }
        if (!host.memory.segment().scope().isAlive()) {
            throw new UsageException("The buffer is closed.");
        }
        return host;
    }

    /** The memory. */
    public MemorySegment segment() {
        return memory.segment();
    }

    /** The address of the first byte. */
    public long address() {
        return memory.address();
    }

    @Override
    public long bytes() {
        return memory.bytes();
    }

    @Override
    public void write(long offset, MemorySegment source) {
        Objects.checkFromIndexSize(offset, source.byteSize(), bytes());
        memory.segment().asSlice(offset, source.byteSize()).copyFrom(source);
    }

    @Override
    public void read(long offset, MemorySegment target) {
        Objects.checkFromIndexSize(offset, target.byteSize(), bytes());
        target.copyFrom(memory.segment().asSlice(offset, target.byteSize()));
    }

    @Override
    public void close() {
        memory.close();
    }
}
