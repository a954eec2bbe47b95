package dev.demitasse.nativecpu;

import dev.demitasse.UsageException;
import dev.demitasse.device.Buffer;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** Memory that recorded commands may still write: whoever looks at it has them run first. */
final class NativeBuffer implements Buffer {
    private final HostMemory memory;
    private final CommandList commands;

    NativeBuffer(long bytes, CommandList commands) {
        this.memory = HostMemory.allocate(bytes);
        this.commands = commands;
    }

    /**
     * The address of a buffer of this device with at least {@code bytes} bytes.
     *
     * @throws UsageException where it is of another device, shorter, or closed
     */
    static long address(Buffer buffer, long bytes) {
        if (!(buffer instanceof NativeBuffer host)) {
            throw new UsageException("A buffer of another device was given to the native device.");
        }
        if (bytes < 0 || bytes > host.bytes()) {
            throw new UsageException("An operation needs " + bytes + " bytes of a buffer of " + host.bytes() + ".");
        }
        if (!host.memory.segment().scope().isAlive()) {
            throw new UsageException("The buffer is closed.");
        }
        return host.memory.address();
    }

    @Override
    public long bytes() {
        return memory.bytes();
    }

    @Override
    public void write(long offset, MemorySegment source) {
        Objects.checkFromIndexSize(offset, source.byteSize(), bytes());
        commands.run();
        memory.segment().asSlice(offset, source.byteSize()).copyFrom(source);
    }

    @Override
    public void read(long offset, MemorySegment target) {
        Objects.checkFromIndexSize(offset, target.byteSize(), bytes());
        commands.run();
        target.copyFrom(memory.segment().asSlice(offset, target.byteSize()));
    }

    @Override
    public void close() {
        commands.run();
        memory.close();
    }
}
