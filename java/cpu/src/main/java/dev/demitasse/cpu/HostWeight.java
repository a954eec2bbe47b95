package dev.demitasse.cpu;

import dev.demitasse.device.LinearWeight;

/**
 * A weight matrix of a CPU device: the packed matrix itself.
 *
 * @param matrix the packed matrix, closed with this
 */
public record HostWeight(PackedMatrix matrix) implements PackedWeight {
    /** The packed matrix of a CPU device's weight. */
    public static PackedMatrix matrixOf(LinearWeight weight) {
        return ((HostWeight) weight).matrix;
    }

    @Override
    public void close() {
        matrix.close();
    }
}
