package dev.demitasse.opencl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Projection;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.DeviceFailedException;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.Proxy;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.lwjgl.opencl.CL10;

@EnabledIf(value = "dev.demitasse.opencl.OpenClBackendTest#usable", disabledReason = OpenClBackendTest.WHY_NOT)
class OpenClFailureTest {
    /** As a driver reports that its device is gone: by any call that has to do with it. */
    @Test
    void aLostDeviceIsNotUsedAgainAndAnotherMayBeOpened() {
        OpenClBackend backend = new OpenClBackend();
        OpenClDevice device = (OpenClDevice) backend.open(DeviceOptions.defaults());
        Buffer buffer = device.upload(new float[] {1, 2, 3, 4});
        OpenClContext context = device.context();
        assertThatThrownBy(() -> context.check(CL10.CL_DEVICE_NOT_AVAILABLE, "launching add"))
                .isInstanceOf(DeviceFailedException.class)
                .hasMessageContaining("CL_DEVICE_NOT_AVAILABLE while launching add")
                .hasMessageContaining("open it again");
        float[] values = new float[4];
        assertThatThrownBy(() -> buffer.read(0, MemorySegment.ofArray(values)))
                .isInstanceOf(DeviceFailedException.class);
        assertThatThrownBy(() -> device.upload(values)).isInstanceOf(DeviceFailedException.class);
        assertThatThrownBy(() -> {
                    device.add(buffer, buffer, 4);
                    buffer.read(0, MemorySegment.ofArray(values));
                })
                .isInstanceOf(DeviceFailedException.class);
        buffer.close();
        device.close();
        try (OpenClDevice other = (OpenClDevice) backend.open(DeviceOptions.defaults());
                Buffer again = other.upload(new float[] {1, 2, 3, 4})) {
            other.add(again, again, 4);
            again.read(0, MemorySegment.ofArray(values));
            assertThat(values).containsExactly(2, 4, 6, 8);
        }
    }

    @Test
    void moreThanThereIsIsRefusedAndTheDeviceGoesOn() {
        try (OpenClDevice device = (OpenClDevice) new OpenClBackend().open(DeviceOptions.defaults())) {
            assertThatThrownBy(() -> device.allocate(1L << 50).close()).isInstanceOf(OutOfDeviceMemoryException.class);
            device.allocate(16).close();
        }
    }

    @Test
    void aDeviceThatIsNotThereIsNamedWithThoseThatAre() {
        assertThatThrownBy(() -> new OpenClBackend()
                        .open(DeviceOptions.defaults().withOrdinal(99))
                        .close())
                .isInstanceOf(BackendUnavailableException.class)
                .hasMessageContaining("there is no device 99; there are [");
    }

    /** On a device that is right, and on one that is wrong in one place. */
    @Test
    void aDriverThatComputesWronglyIsRefused() {
        try (OpenClDevice device = (OpenClDevice) new OpenClBackend().open(DeviceOptions.defaults())) {
            SelfCheck.require(device, "this device");
            Device wrong = (Device) Proxy.newProxyInstance(
                    Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, arguments) -> {
                        Object result = method.invoke(device, arguments);
                        if (method.getName().equals("linear")) {
                            Buffer out = ((Projection[]) arguments[2])[0].out();
                            out.write(44, MemorySegment.ofArray(new float[] {0.5f}));
                        }
                        return result;
                    });
            assertThatThrownBy(() -> SelfCheck.require(wrong, "this device"))
                    .isInstanceOf(BackendUnavailableException.class)
                    .hasMessageContaining("this device computes 0.5 where the result is");
        }
    }

    @Test
    void automaticChoiceTakesGpusAlone() {
        assertThat(new OpenClBackend().automatic())
                .isEqualTo(Loader.devices().getFirst().gpu());
    }

    @Test
    void theLoaderIsKnownByTheOperatingSystem() {
        assertThat(Loader.library("Linux")).isEqualTo("libOpenCL.so.1");
        assertThat(Loader.library("Windows 11")).isEqualTo("OpenCL.dll");
        assertThat(Loader.library("Mac OS X")).endsWith("OpenCL.framework/OpenCL");
        assertThat(Loader.library("Plan 9")).isNull();
    }
}
