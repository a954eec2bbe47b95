package dev.demitasse.nativecpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.cpu.PackedWeight;
import dev.demitasse.cpu.ScaleType;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;

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
        boolean mins = matrix.layout().minimum();
        boolean multiples = matrix.scaleType() == ScaleType.INT8;
        set(Boundary.Matrix.MINS, mins ? matrix.mins().address() : 0);
        set(Boundary.Matrix.SUPER_SCALES, multiples ? matrix.superScales().address() : 0);
        set(Boundary.Matrix.SUPER_MINS, multiples && mins ? matrix.superMins().address() : 0);
        set(Boundary.Matrix.ROWS, matrix.rows());
        set(Boundary.Matrix.COLUMNS, matrix.columns());
        set(Boundary.Matrix.GROUP, integers ? matrix.group() : 0);
        set(Boundary.Matrix.ELEMENT, Boundary.Element.of(matrix.element()));
        set(Boundary.Matrix.SCALE_TYPE, Boundary.ScaleType.of(matrix.scaleType()));
    }

    /** Packs a matrix: common types by the kernels, straight from the file. */
    static NativeWeight of(MatrixSource source, WeightLayout layout, CommandList commands) {
        boolean direct = source.data().isNative() && layout.equals(source.type().layout());
        PackedMatrix packed = direct ? PackedMatrix.ofWords(source) : null;
        if (packed == null) {
            return new NativeWeight(PackedMatrix.packNarrow(source, layout), commands);
        }
        try {
            pack(source, packed, commands);
            return new NativeWeight(packed, commands);
        } catch (RuntimeException | Error e) {
            packed.close();
            throw e;
        }
    }

    private static void pack(MatrixSource source, PackedMatrix packed, CommandList commands) {
        commands.reserve(1);
        MemorySegment failed = commands.scratch(Integer.BYTES);
        failed.set(JAVA_INT, 0, 0);
        boolean minimum = packed.layout().minimum();
        commands.begin(Boundary.Op.PACK, commands.last())
                .set(Boundary.PackArgs.SOURCE, source.data().address())
                .set(Boundary.PackArgs.ROWS, source.rows())
                .set(Boundary.PackArgs.COLUMNS, source.columns())
                .set(Boundary.PackArgs.BLOCK_BYTES, source.type().blockBytes())
                .set(Boundary.PackArgs.NIBBLES, packed.layout().element() == WeightLayout.Element.INT4 ? 1 : 0)
                .set(Boundary.PackArgs.MINIMUM, minimum ? 1 : 0)
                .set(Boundary.PackArgs.QUANTS, packed.quants().address())
                .set(Boundary.PackArgs.SCALES, packed.scales().address())
                .set(Boundary.PackArgs.MINS, minimum ? packed.mins().address() : 0)
                .set(Boundary.PackArgs.FAILED, failed.address());
        commands.run();
        int row = failed.get(JAVA_INT, 0);
        if (row != 0) {
            throw source.notFinite(row - 1, "scale");
        }
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
