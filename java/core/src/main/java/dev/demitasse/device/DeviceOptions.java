package dev.demitasse.device;

import dev.demitasse.exception.UsageException;
import org.jspecify.annotations.Nullable;

/**
 * How to open a device.
 *
 * @param threads threads of a CPU device; 0 for the number of physical cores
 * @param ordinal which of several devices of a kind
 * @param activations how integer layouts meet their activations; null for the device's own choice
 * @param instructionSet the instruction set of a device that has several, by name; null for the device's choice
 * @param batchInvariant whether a row's result may not depend on the other rows, to the last bit; CPU devices always
 *     hold that
 */
public record DeviceOptions(
        int threads,
        int ordinal,
        @Nullable ActivationType activations,
        @Nullable String instructionSet,
        boolean batchInvariant) {
    /** Checks the ranges. */
    public DeviceOptions {
        int most = mostThreads();
        if (threads < 0 || threads > most) {
            throw new UsageException("The number of threads is " + threads + "; it must be 0, for one on each core, to "
                    + most + " on this machine.");
        }
        if (ordinal < 0) {
            throw new UsageException("The number of a device is " + ordinal + "; it must be 0 or more.");
        }
    }

    /** Threads beyond a few on each processor only wait for each other. */
    private static int mostThreads() {
        return Math.max(64, 4 * Runtime.getRuntime().availableProcessors());
    }

    /** {@return the device's own choice of everything} */
    public static DeviceOptions defaults() {
        return new DeviceOptions(0, 0, null, null, false);
    }

    /**
     * {@return the same with that many threads}
     *
     * @param count threads of a CPU device; 0 for the number of physical cores
     */
    public DeviceOptions withThreads(int count) {
        return new DeviceOptions(count, ordinal, activations, instructionSet, batchInvariant);
    }

    /**
     * {@return the same of the backend's device of that number, counted from 0}
     *
     * @param number which device, from 0
     */
    public DeviceOptions withOrdinal(int number) {
        return new DeviceOptions(threads, number, activations, instructionSet, batchInvariant);
    }

    /**
     * {@return the same with those activations}
     *
     * @param type how integer layouts meet their activations
     */
    public DeviceOptions withActivations(ActivationType type) {
        return new DeviceOptions(threads, ordinal, type, instructionSet, batchInvariant);
    }

    /**
     * {@return the same with that instruction set}
     *
     * @param name as the device calls it; null for the device's choice
     */
    public DeviceOptions withInstructionSet(@Nullable String name) {
        return new DeviceOptions(threads, ordinal, activations, name, batchInvariant);
    }

    /**
     * {@return the same, with results that do not depend on the batch}
     *
     * @param wanted whether a row's result may not depend on the other rows
     */
    public DeviceOptions withBatchInvariant(boolean wanted) {
        return new DeviceOptions(threads, ordinal, activations, instructionSet, wanted);
    }
}
