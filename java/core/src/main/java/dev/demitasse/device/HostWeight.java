package dev.demitasse.device;

import dev.demitasse.UsageException;
import dev.demitasse.quant.PackedMatrix;
import dev.demitasse.quant.WeightLayout;

/**
 * A weight matrix of a CPU device: the packed matrix itself.
 *
 * @param matrix the packed matrix, closed with this
 */
public record HostWeight(PackedMatrix matrix) implements LinearWeight {
    /** The packed matrix of a CPU device's weight. */
    public static PackedMatrix matrixOf(LinearWeight weight) {
        if (!(weight instanceof HostWeight host)) {
            throw new UsageException("A weight of another device was given to a CPU device.");
        }
        return host.matrix;
    }

    @Override
    public int rows() {
        return matrix.rows();
    }

    @Override
    public int columns() {
        return matrix.columns();
    }

    @Override
    public WeightLayout layout() {
        return matrix.layout();
    }

    @Override
    public long bytes() {
        return matrix.bytes();
    }

    @Override
    public void close() {
        matrix.close();
    }
}
