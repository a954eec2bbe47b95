package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.Routes;
import dev.demitasse.device.Routing;
import java.util.ArrayList;
import java.util.List;

/** Buffers of FP32 numbers on a device, and choices of experts, which are freed together. */
final class DeviceBuffers implements AutoCloseable {
    private final Device device;
    private final List<Buffer> buffers = new ArrayList<>();
    private final List<Routes> routes = new ArrayList<>();

    DeviceBuffers(Device device) {
        this.device = device;
    }

    /** A buffer of so many numbers. */
    Buffer allocate(long rows, long columns) {
        Buffer buffer = device.allocate(Math.multiplyExact(rows * Float.BYTES, columns));
        buffers.add(buffer);
        return buffer;
    }

    /** Room for the choices of so many rows. */
    Routes routes(int rows, Routing routing) {
        Routes choice = device.allocateRoutes(rows, routing);
        routes.add(choice);
        return choice;
    }

    @Override
    public void close() {
        buffers.forEach(Buffer::close);
        routes.forEach(Routes::close);
    }
}
