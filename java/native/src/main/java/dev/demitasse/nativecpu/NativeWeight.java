package dev.demitasse.nativecpu;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.cpu.PackedWeight;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;

/** A packed matrix with its description for C++ ({@code Matrix} in command.h). */
final class NativeWeight implements PackedWeight {
    private final PackedMatrix matrix;
    private final HostMemory description = HostMemory.allocate(9 * Long.BYTES);
    private final CommandList commands;

    NativeWeight(PackedMatrix matrix, CommandList commands) {
        this.matrix = matrix;
        this.commands = commands;
        long[] words = {
            matrix.quants().address(),
            matrix.layout().element().quantized() ? matrix.scales().address() : 0,
            matrix.layout().minimum() ? matrix.mins().address() : 0,
            matrix.rows(),
            matrix.columns(),
            matrix.layout().element().quantized() ? matrix.group() : 0,
            matrix.layout().element().ordinal(),
            matrix.maximumMagnitude(),
            matrix.halfScales() ? 1 : 0
        };
        MemorySegment.copy(words, 0, description.segment(), JAVA_LONG, 0, words.length);
    }

    /** The address of its description. */
    long address() {
        return description.address();
    }

    @Override
    public PackedMatrix matrix() {
        return matrix;
    }

    @Override
    public void close() {
        commands.run();
        matrix.close();
        description.close();
    }
}
