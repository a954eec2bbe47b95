package dev.demitasse.opencl;

import dev.demitasse.device.Backend;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Support;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.DeviceFailedException;
import java.util.List;

/** The backend {@code opencl}: devices of OpenCL 1.2 or later through the system's loader, GPUs first. */
public class OpenClBackend implements Backend {
    /** For the service loader. */
    public OpenClBackend() {}

    @Override
    public String name() {
        return "opencl";
    }

    @Override
    public Support probe() {
        Support loader = Loader.probe();
        if (!loader.ok()) {
            return loader;
        }
        try {
            return probe(Loader.devices());
        } catch (DeviceFailedException e) {
            return Support.no(String.valueOf(e.getMessage()), "use another backend");
        }
    }

    private static Support probe(List<DeviceInfo> devices) {
        if (devices.isEmpty()) {
            return Support.absent(
                    "no OpenCL driver has a device",
                    "install the OpenCL driver of your GPU, or pocl-opencl-icd for the processor");
        }
        StringBuilder found = new StringBuilder();
        boolean any = false;
        for (int i = 0; i < devices.size(); i++) {
            Support support = devices.get(i).support();
            any |= support.ok();
            found.append(i == 0 ? "" : ", ").append(i).append(": ").append(support);
        }
        return any ? Support.yes(found.toString()) : devices.getFirst().support();
    }

    /** For GPUs alone: on a processor the project's own backends are faster. */
    @Override
    public boolean automatic() {
        List<DeviceInfo> devices = Loader.devices();
        return !devices.isEmpty()
                && devices.getFirst().gpu()
                && devices.getFirst().support().ok();
    }

    @Override
    public Device open(DeviceOptions options) {
        Support support = probe();
        if (!support.ok()) {
            throw new BackendUnavailableException("opencl: " + support + ".");
        }
        List<DeviceInfo> devices = Loader.devices();
        if (options.ordinal() >= devices.size()) {
            throw new BackendUnavailableException(
                    "opencl: there is no device " + options.ordinal() + "; there are " + devices + ", counted from 0.");
        }
        DeviceInfo device = seen(devices.get(options.ordinal()));
        if (!device.support().ok()) {
            throw new BackendUnavailableException("opencl: " + device.support() + ".");
        }
        OpenClDevice opened = OpenClDevice.open(options, device);
        if (device.gpu()) {
            check(opened);
        }
        return opened;
    }

    private static void check(OpenClDevice device) {
        try {
            SelfCheck.require(device, device.description());
        } catch (RuntimeException | Error e) {
            device.close();
            throw e;
        }
    }

    /** How a device is taken, which chooses kernels and ways to copy. */
    DeviceInfo seen(DeviceInfo device) {
        return device;
    }
}
