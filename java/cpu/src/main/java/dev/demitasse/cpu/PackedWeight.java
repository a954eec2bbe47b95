package dev.demitasse.cpu;

import dev.demitasse.device.LinearWeight;
import dev.demitasse.quant.WeightLayout;

/** A weight matrix of a CPU device, which is described by its packed matrix. */
public interface PackedWeight extends LinearWeight {
    /** The packed matrix. */
    PackedMatrix matrix();

    @Override
    default int rows() {
        return matrix().rows();
    }

    @Override
    default int columns() {
        return matrix().columns();
    }

    @Override
    default WeightLayout layout() {
        return matrix().layout();
    }

    @Override
    default long bytes() {
        return matrix().bytes();
    }
}
