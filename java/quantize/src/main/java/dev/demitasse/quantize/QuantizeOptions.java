package dev.demitasse.quantize;

import dev.demitasse.exception.UsageException;
import org.jspecify.annotations.Nullable;

/**
 * How to quantize a model.
 *
 * @param mix the type of each matrix
 * @param pure every matrix in the mix's base type, where its block divides a row
 * @param requantize whether matrices that are quantized already may be quantized again, which adds one error to the
 *     other
 * @param importance what errors in each column cost, from calibration; null for none
 * @param smoothing channels that are scaled, found for {@code mix}; null for none
 * @param threads that encode
 * @param overwrite whether a file of the output's name may be replaced
 */
public record QuantizeOptions(
        WeightMix mix,
        boolean pure,
        boolean requantize,
        @Nullable ImportanceMatrix importance,
        @Nullable Smoothing smoothing,
        int threads,
        boolean overwrite) {
    private static final int MOST_THREADS = 1024;

    /** Checks the number of threads. */
    public QuantizeOptions {
        if (threads < 1 || threads > MOST_THREADS) {
            throw new UsageException(threads + " threads cannot quantize; there may be 1 to " + MOST_THREADS + ".");
        }
    }

    /**
     * {@return the options of a mix: a thread for each processor, and nothing else}
     *
     * @param mix the type of each matrix
     */
    public static QuantizeOptions of(WeightMix mix) {
        return new QuantizeOptions(
                mix, false, false, null, null, Runtime.getRuntime().availableProcessors(), false);
    }

    /**
     * {@return the same with the base type alone, or not}
     *
     * @param value whether every matrix is in the mix's base type, where its block divides a row
     */
    public QuantizeOptions withPure(boolean value) {
        return new QuantizeOptions(mix, value, requantize, importance, smoothing, threads, overwrite);
    }

    /**
     * {@return the same, quantizing again or not}
     *
     * @param value whether matrices that are quantized already may be quantized again
     */
    public QuantizeOptions withRequantize(boolean value) {
        return new QuantizeOptions(mix, pure, value, importance, smoothing, threads, overwrite);
    }

    /**
     * {@return the same with an importance matrix, or none}
     *
     * @param value what errors in each column cost; null for none
     */
    public QuantizeOptions withImportance(@Nullable ImportanceMatrix value) {
        return new QuantizeOptions(mix, pure, requantize, value, smoothing, threads, overwrite);
    }

    /**
     * {@return the same with scaled channels, or none}
     *
     * @param value channels that are scaled, found for the same mix; null for none
     */
    public QuantizeOptions withSmoothing(@Nullable Smoothing value) {
        return new QuantizeOptions(mix, pure, requantize, importance, value, threads, overwrite);
    }

    /**
     * {@return the same with other threads}
     *
     * @param value threads that encode, 1 to 1024
     */
    public QuantizeOptions withThreads(int value) {
        return new QuantizeOptions(mix, pure, requantize, importance, smoothing, value, overwrite);
    }

    /**
     * {@return the same, replacing a file or not}
     *
     * @param value whether a file of the output's name may be replaced
     */
    public QuantizeOptions withOverwrite(boolean value) {
        return new QuantizeOptions(mix, pure, requantize, importance, smoothing, threads, value);
    }
}
