package dev.demitasse.nativecpu;

import dev.demitasse.cpu.HostBuffer;
import dev.demitasse.device.Buffer;
import java.lang.foreign.MemorySegment;

/** Memory that recorded commands may still write: whoever looks at it has them run first. */
final class NativeBuffer implements Buffer {
    private final HostBuffer memory;
    private final CommandList commands;

    NativeBuffer(long bytes, CommandList commands) {
        this.memory = new HostBuffer(bytes);
        this.commands = commands;
    }

    /** The address of the first byte. */
    long address() {
        return memory.address();
    }

    @Override
    public long bytes() {
        return memory.bytes();
    }

    @Override
    public void write(long offset, MemorySegment source) {
        commands.run();
        memory.write(offset, source);
    }

    @Override
    public void read(long offset, MemorySegment target) {
        commands.run();
        memory.read(offset, target);
    }

    @Override
    public void close() {
        commands.run();
        memory.close();
    }
}
