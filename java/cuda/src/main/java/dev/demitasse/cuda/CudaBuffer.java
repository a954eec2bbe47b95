package dev.demitasse.cuda;

import dev.demitasse.UsageException;
import dev.demitasse.device.Buffer;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** A buffer in device memory. */
final class CudaBuffer implements Buffer {
    /** Writes up to this length are part of the recorded step, and wait for nothing. */
    private static final long RECORDED_BYTES = 1 << 20;

    private final CudaMemory memory;
    private final LaunchList launches;

    CudaBuffer(CudaMemory memory, LaunchList launches) {
        this.memory = memory;
        this.launches = launches;
    }

    /**
     * The address of a buffer of a device with at least {@code bytes} bytes.
     *
     * @throws UsageException where it is of another device, shorter, or closed
     */
    static long address(Buffer buffer, long bytes, LaunchList device) {
        if (!(buffer instanceof CudaBuffer own) || !own.memory.isOf(device)) {
            throw new UsageException("A buffer of another device was given to the cuda device.");
        }
        if (bytes < 0 || bytes > own.bytes()) {
            throw new UsageException("An operation needs " + bytes + " bytes of a buffer of " + own.bytes() + ".");
        }
        return own.memory.address();
    }

    @Override
    public long bytes() {
        return memory.bytes();
    }

    @Override
    public void write(long offset, MemorySegment source) {
        Objects.checkFromIndexSize(offset, source.byteSize(), bytes());
        if (source.byteSize() == 0) {
            return;
        }
        if (source.byteSize() <= RECORDED_BYTES) {
            launches.put(source, memory.pointer().at(offset));
        } else {
            memory.write(offset, source);
        }
    }

    @Override
    public void read(long offset, MemorySegment target) {
        Objects.checkFromIndexSize(offset, target.byteSize(), bytes());
        memory.read(offset, target);
    }

    @Override
    public void close() {
        memory.close();
    }
}
