package dev.demitasse.device;

import dev.demitasse.quant.WeightLayout;

/** Matrices of the same shape and layout on a device, with a bias each or none: those of experts, or of heads. */
public interface WeightGroup extends AutoCloseable {
    /** How many there are. */
    int groups();

    /** Rows of each: the outputs of {@link Device#groupedLinear}. */
    int rows();

    /** Columns of each: its inputs. */
    int columns();

    /** How elements are stored. */
    WeightLayout layout();

    /** Bytes of all matrices. */
    long bytes();

    @Override
    void close();
}
