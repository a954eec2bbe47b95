package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import java.util.ArrayList;
import java.util.List;

/** Buffers of FP32 numbers on a device, which are freed together. */
final class DeviceBuffers implements AutoCloseable {
    private final Device device;
    private final List<Buffer> buffers = new ArrayList<>();

    DeviceBuffers(Device device) {
        this.device = device;
    }

    /** A buffer of so many numbers. */
    Buffer allocate(long rows, long columns) {
        Buffer buffer = device.allocate(Math.multiplyExact(rows * Float.BYTES, columns));
        buffers.add(buffer);
        return buffer;
    }

    @Override
    public void close() {
        buffers.forEach(Buffer::close);
    }
}
