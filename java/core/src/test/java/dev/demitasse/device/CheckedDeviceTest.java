package dev.demitasse.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.DeviceFailedException;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.reference.ReferenceBackend;
import dev.demitasse.sampling.Draw;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * What the door to a device does besides refusing: it tells threads whose work was dropped, and keeps what a device
 * may keep.
 */
class CheckedDeviceTest {
    private final List<BatchRows> seen = new ArrayList<>();
    private boolean fails;
    private final Device device = CheckedDevice.of(spied(new ReferenceBackend().open(DeviceOptions.defaults())));
    private final ExecutorService other = Executors.newSingleThreadExecutor();

    @AfterEach
    void close() {
        other.shutdownNow();
        device.close();
    }

    private Device spied(Device exact) {
        return (Device) Proxy.newProxyInstance(
                Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("kvAppend")) {
                        seen.add((BatchRows) arguments[4]);
                    }
                    if (method.getName().equals("softCap") && fails) {
                        throw new OutOfDeviceMemoryException("planned");
                    }
                    try {
                        return method.invoke(exact, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private void fail(Buffer x) {
        fails = true;
        assertThatThrownBy(() -> device.softCap(x, 1, 1)).isInstanceOf(OutOfDeviceMemoryException.class);
        fails = false;
    }

    private void elsewhere(Runnable body) throws Exception {
        Future<?> done = other.submit(body);
        done.get();
    }

    @Test
    void aThreadWhoseRecordedWorkWasDroppedHearsSoOnce() throws Exception {
        Buffer x = device.upload(new float[4]);
        elsewhere(() -> device.add(x, x, 4));
        fail(x);
        elsewhere(() -> {
            assertThatThrownBy(() -> device.add(x, x, 4))
                    .isInstanceOf(DeviceFailedException.class)
                    .hasMessageContaining("another thread");
            device.add(x, x, 4);
        });
        device.add(x, x, 4); // the thread that saw the failure itself
    }

    @Test
    void aThreadThatHadRecordedNothingGoesOn() throws Exception {
        Buffer x = device.upload(new float[4]);
        Buffer[] theirs = new Buffer[1];
        elsewhere(() -> theirs[0] = device.allocate(16));
        fail(x);
        elsewhere(() -> device.add(x, theirs[0], 4));
        elsewhere(() -> x.read(0, MemorySegment.ofArray(new float[4]))); // which runs it
        fail(x);
        elsewhere(() -> device.add(x, theirs[0], 4));
        elsewhere(() -> device.sample(x, 4, List.of(new Draw(0, 0, 1, 0, 0, 0)), new int[1])); // which runs it too
        fail(x);
        elsewhere(() -> device.add(x, theirs[0], 4));
    }

    @Test
    void rowsThatTheCallerChangesAfterwardsAreAsTheyWere() {
        KvStore kv = device.allocateKv(new KvShape(2, 1, 4, 2, KvType.F32));
        Buffer x = device.upload(new float[4]);
        int[] positions = {0};
        int[][] pages = {{1}};
        BatchRows rows = new BatchRows(1, positions, pages);
        device.kvAppend(kv, 0, x, x, rows);
        device.kvAppend(kv, 1, x, x, rows);
        positions[0] = 1;
        pages[0][0] = 0;
        device.kvAppend(kv, 0, x, x, rows);
        assertThat(seen.get(1)).isSameAs(seen.get(0));
        assertThat(seen.get(0).positions()).containsExactly(0);
        assertThat(seen.get(0).pages()[0]).containsExactly(1);
        assertThat(seen.get(2).positions()).containsExactly(1);
        assertThat(seen.get(2).pages()[0]).containsExactly(0);
    }

    @Test
    void countsBelowZeroAreRefused() {
        Buffer x = device.upload(new float[4]);
        assertThatThrownBy(() -> device.add(x, x, -1)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> device.add(x, x, Long.MIN_VALUE)).isInstanceOf(UsageException.class);
    }
}
