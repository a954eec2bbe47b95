package dev.demitasse.gpu;

import org.jspecify.annotations.Nullable;

/**
 * Where the activations of a {@link Step.Quantize} go: integers, and behind them, for each row, scales and sums of
 * groups of 32 columns.
 */
public final class QuantizedActivations implements AutoCloseable {
    /** Columns of a group. */
    public static final int GROUP = 32;
    /** Bytes of a group's scale and sums. */
    public static final int GROUP_BYTES = 8;

    private final Workspace memory;

    /** No room yet. */
    public QuantizedActivations(GpuMemory memory) {
        this.memory = new Workspace(memory);
    }

    /** Makes room for what a step writes; whether the address has changed. */
    public boolean reserve(Step.Quantize step) {
        long groups = (long) step.rows() * step.padded() / GROUP * GROUP_BYTES;
        return memory.reserve(integerBytes(step.rows(), step.padded()) + groups);
    }

    /** The address of the integers. */
    public long integers() {
        return memory.address();
    }

    /** The same where a step writes some; 0 for null. */
    public long integers(Step.@Nullable Quantize step) {
        return step == null ? 0 : integers();
    }

    /** The address of the groups behind so many rows of {@code padded} columns. */
    public long groups(int rows, int padded) {
        return memory.address() + integerBytes(rows, padded);
    }

    /** CUDA's kernels have rows in tiles of as many as tiles of weights have outputs. */
    private static long integerBytes(int rows, int padded) {
        int tile = WeightOrder.FRAGMENTS.outputs();
        return (long) (rows + tile - 1) / tile * tile * padded;
    }

    @Override
    public void close() {
        memory.close();
    }
}
