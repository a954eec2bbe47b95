package dev.demitasse.nativecpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Commands that wait to be run together: operations are recorded, and {@link #run} runs them with one call when a
 * result is wanted. A forward pass is one list, so its threads meet only in C++. The words of a command are described
 * in {@code native/include/demitasse/command.h}.
 */
final class CommandList implements AutoCloseable {
    private static final int CAPACITY = 2048;
    private static final long CHUNK_BYTES = 1 << 20;

    private final HostMemory commands = HostMemory.allocate((long) CAPACITY * Boundary.COMMAND_WORDS * Long.BYTES);
    private final List<HostMemory> chunks = new ArrayList<>();
    private final List<Runnable> listeners = new ArrayList<>();
    private long device;
    private int count;
    private long arguments; // index of the last command's first
    private int chunk;
    private long used;

    CommandList(long device) {
        this.device = device;
    }

    /** Called when what was recorded is run or dropped, and the arrays that were copied for it are gone. */
    void afterRun(Runnable listener) {
        listeners.add(listener);
    }

    /** Index of the last command, or -1. */
    int last() {
        return count - 1;
    }

    /** Makes room for {@code more} commands that belong together, by running what waits if need be. */
    void reserve(int more) {
        if (count + more > CAPACITY) {
            run();
        }
    }

    /**
     * Begins a command, whose arguments are set next: all of them, since its memory is used again.
     *
     * @param operation a number of {@code Op}
     * @param after index of the command that must be complete, with all before it
     */
    CommandList begin(int operation, int after) {
        MemorySegment out = commands.segment();
        long at = (long) count * Boundary.COMMAND_WORDS;
        out.setAtIndex(JAVA_LONG, at, operation);
        out.setAtIndex(JAVA_LONG, at + 1, after);
        arguments = at + Boundary.COMMAND_HEADER_WORDS;
        count++;
        return this;
    }

    /** Sets an argument of the last command to an address or an integer. */
    CommandList set(int field, long value) {
        commands.segment().setAtIndex(JAVA_LONG, arguments + field, value);
        return this;
    }

    /** Sets an argument of the last command to an FP32 number. */
    CommandList setFloat(int field, float value) {
        return set(field, Float.floatToRawIntBits(value) & 0xFFFFFFFFL);
    }

    /** Memory that lives until the list has run. */
    MemorySegment scratch(long bytes) {
        long aligned = (bytes + 15) / 16 * 16;
        while (chunk < chunks.size() && used + aligned > chunks.get(chunk).bytes()) {
            chunk++;
            used = 0;
        }
        if (chunk == chunks.size()) {
            chunks.add(HostMemory.allocate(Math.max(CHUNK_BYTES, aligned)));
        }
        MemorySegment part = chunks.get(chunk).segment().asSlice(used, aligned);
        used += aligned;
        return part;
    }

    /** The address of a copy of {@code values} that lives until the list has run. */
    long copy(int[] values, int length) {
        MemorySegment to = scratch((long) length * Integer.BYTES);
        MemorySegment.copy(values, 0, to, JAVA_INT, 0, length);
        return to.address();
    }

    /**
     * Runs what was recorded, and returns when it is complete.
     *
     * @throws OutOfDeviceMemoryException where the threads get no memory for scratch; the commands are dropped
     */
    void run() {
        if (count == 0) {
            return;
        }
        int waiting = count;
        discard();
        int failed = Kernels.runCommands(device, commands.address(), waiting);
        if (failed != 0) {
            throw new OutOfDeviceMemoryException(
                    "The machine has no memory left for the scratch of the native device.");
        }
    }

    /** Drops what was recorded and not run. */
    void discard() {
        count = 0;
        chunk = 0;
        used = 0;
        listeners.forEach(Runnable::run);
    }

    /** Drops what was not run, and the device. */
    @Override
    public void close() {
        count = 0;
        if (device != 0) {
            Kernels.closeDevice(device);
            device = 0;
            commands.close();
            chunks.forEach(HostMemory::close);
        }
    }
}
