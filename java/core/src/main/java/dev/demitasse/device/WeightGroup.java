package dev.demitasse.device;

import dev.demitasse.quant.WeightLayout;

/** Matrices of the same shape and layout on a device, with a bias each or none: those of experts, or of heads. */
public interface WeightGroup extends AutoCloseable {
    /** {@return how many there are} */
    int groups();

    /** {@return rows of each: the outputs of {@link Device#groupedLinear}} */
    int rows();

    /** {@return columns of each: its inputs} */
    int columns();

    /** {@return how elements are stored} */
    WeightLayout layout();

    /** {@return bytes of all matrices} */
    long bytes();

    @Override
    void close();
}
