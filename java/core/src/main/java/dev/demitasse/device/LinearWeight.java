package dev.demitasse.device;

import dev.demitasse.quant.WeightLayout;

/** A weight matrix on a device, rows (outputs) × columns (inputs). */
public interface LinearWeight extends AutoCloseable {
    /** Outputs. */
    int rows();

    /** Inputs. */
    int columns();

    /** How it lies there. */
    WeightLayout layout();

    /** Bytes that a multiplication by one row reads. */
    long bytes();

    @Override
    void close();
}
