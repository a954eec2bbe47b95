package dev.demitasse.device;

import dev.demitasse.quant.WeightLayout;

/** A weight matrix on a device, rows (outputs) × columns (inputs). */
public interface LinearWeight extends AutoCloseable {
    /** {@return outputs} */
    int rows();

    /** {@return inputs} */
    int columns();

    /** {@return how it lies there} */
    WeightLayout layout();

    /** {@return bytes that a multiplication by one row reads} */
    long bytes();

    @Override
    void close();
}
