package dev.demitasse.device;

import dev.demitasse.exception.UsageException;
import java.util.function.Consumer;

/** A kind of device, found through {@link java.util.ServiceLoader}. */
public interface Backend {
    /**
     * {@return the name that users ask for: {@code cuda}, {@code opencl}, {@code native}, {@code vector}, {@code
     * reference}}
     */
    String name();

    /** {@return whether a device can be opened here. Never throws and leaves nothing open} */
    Support probe();

    /** {@return whether {@code auto} may choose it, given that the probe is ok} */
    default boolean automatic() {
        return true;
    }

    /**
     * Opens a device that checks no arguments; applications call {@link dev.demitasse.Devices#open}.
     *
     * @param options which device, and how to open it
     * @return the device, which the caller closes
     * @throws dev.demitasse.exception.BackendUnavailableException where {@link #probe} is not ok
     */
    Device open(DeviceOptions options);

    /**
     * Measures which of several ways to do the same is the quickest on a device, and keeps that in the cache folder
     * ({@link dev.demitasse.CacheFolder}) for devices that are opened later. Results of operations stay the same.
     *
     * @param options which device, and how to open it
     * @param report receives lines for people: what was measured, and where it is kept
     * @throws UsageException where the backend has nothing to choose
     * @throws dev.demitasse.exception.BackendUnavailableException where {@link #probe} is not ok
     */
    default void tune(DeviceOptions options, Consumer<String> report) {
        throw new UsageException("\"" + name() + "\" has nothing to tune; \"cuda\" has.");
    }
}
