package dev.demitasse.device;

/** A kind of device, found through {@link java.util.ServiceLoader}. */
public interface Backend {
    /** The name that users ask for: {@code cuda}, {@code opencl}, {@code native}, {@code vector}, {@code reference}. */
    String name();

    /** Whether a device can be opened here. Never throws and leaves nothing open. */
    Support probe();

    /** Whether {@code auto} may choose it, given that the probe is ok. */
    default boolean automatic() {
        return true;
    }

    /**
     * Opens a device that checks no arguments; applications call {@link dev.demitasse.Devices#open}.
     *
     * @throws dev.demitasse.exception.BackendUnavailableException where {@link #probe} is not ok
     */
    Device open(DeviceOptions options);
}
