package dev.demitasse.reference;

import dev.demitasse.device.Backend;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Support;

/** The backend {@code reference}: always there, slow, exact. */
public final class ReferenceBackend implements Backend {
    /** For the service loader. */
    public ReferenceBackend() {}

    @Override
    public String name() {
        return "reference";
    }

    @Override
    public Support probe() {
        return Support.yes("plain Java, one thread, FP64 sums; for tests, slow");
    }

    @Override
    public Device open(DeviceOptions options) {
        return new ReferenceDevice(options);
    }
}
