package dev.demitasse.nativecpu;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.cpu.PackedWeight;
import dev.demitasse.memory.HostMemory;

/** A packed matrix with its description for C++ ({@code Matrix} in command.h). */
final class NativeWeight implements PackedWeight {
    private final PackedMatrix matrix;
    private final HostMemory description = HostMemory.allocate((long) Boundary.Matrix.WORDS * Long.BYTES);
    private final CommandList commands;

    NativeWeight(PackedMatrix matrix, CommandList commands) {
        this.matrix = matrix;
        this.commands = commands;
        boolean integers = matrix.layout().element().quantized();
        set(Boundary.Matrix.QUANTS, matrix.quants().address());
        set(Boundary.Matrix.SCALES, integers ? matrix.scales().address() : 0);
        set(Boundary.Matrix.MINS, matrix.layout().minimum() ? matrix.mins().address() : 0);
        set(Boundary.Matrix.ROWS, matrix.rows());
        set(Boundary.Matrix.COLUMNS, matrix.columns());
        set(Boundary.Matrix.GROUP, integers ? matrix.group() : 0);
        set(Boundary.Matrix.ELEMENT, Boundary.Element.of(matrix.layout().element()));
        set(Boundary.Matrix.MAXIMUM, matrix.maximumMagnitude());
        set(Boundary.Matrix.FP16_SCALES, matrix.fp16Scales() ? 1 : 0);
    }

    private void set(int field, long value) {
        description.segment().setAtIndex(JAVA_LONG, field, value);
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
