package dev.demitasse.vector;

import dev.demitasse.device.Backend;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Support;
import dev.demitasse.exception.BackendUnavailableException;
import java.lang.foreign.MemorySegment;

/** The backend {@code vector}: pure Java on any CPU with 128-bit vectors or wider. */
public final class VectorBackend implements Backend {
    private static final String MODULE = "jdk.incubator.vector";

    /** For the service loader. */
    public VectorBackend() {}

    @Override
    public String name() {
        return "vector";
    }

    @Override
    public Support probe() {
        if (ModuleLayer.boot().findModule(MODULE).isEmpty()) {
            return Support.no(
                    "the Vector API's module is not loaded", "start Java with the flag --add-modules " + MODULE);
        }
        if (VectorDevice.class.getModule().isNamed()) {
            VectorDevice.class
                    .getModule()
                    .addReads(ModuleLayer.boot().findModule(MODULE).orElseThrow());
        }
        try {
            MemorySegment.NULL.reinterpret(1); // as Lanes does when it is initialized
        } catch (IllegalCallerException e) {
            return Support.noNativeAccess(e, VectorDevice.class);
        }
        return Lanes.probe();
    }

    @Override
    public Device open(DeviceOptions options) {
        Support support = probe();
        if (!support.ok()) {
            throw new BackendUnavailableException("vector: " + support + ".");
        }
        return new VectorDevice(options);
    }
}
