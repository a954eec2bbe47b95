package dev.demitasse.device;

import dev.demitasse.UsageException;
import dev.demitasse.quant.PackedMatrix;

/**
 * A weight matrix of a CPU device: the packed matrix itself.
 *
 * @param matrix the packed matrix, closed with this
 */
public record HostWeight(PackedMatrix matrix) implements PackedWeight {
    /** The packed matrix of a CPU device's weight. */
    public static PackedMatrix matrixOf(LinearWeight weight) {
        if (!(weight instanceof HostWeight host)) {
            throw new UsageException("A weight of another device was given to a CPU device.");
        }
        return host.matrix;
    }

    @Override
    public void close() {
        matrix.close();
    }
}
