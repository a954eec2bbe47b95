package dev.demitasse.testkit;

import dev.demitasse.device.Backend;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Support;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.reference.ReferenceBackend;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;

/**
 * The reference device with the roundings of the golden implementation added: inputs of F16 and BF16 matrices are
 * rounded to their type, and GELU maps FP16 to FP16. Golden answers then match within 1e-3, which shows that the wider
 * bounds of the tests of exact devices are those roundings and nothing else.
 */
public final class PeerRoundingBackend implements Backend {
    /** For the service loader. */
    public PeerRoundingBackend() {}

    @Override
    public String name() {
        return "peer-rounding";
    }

    @Override
    public Support probe() {
        return Support.yes("the reference device with a peer's roundings; for tests");
    }

    @Override
    public boolean automatic() {
        return false;
    }

    @Override
    public Device open(DeviceOptions options) {
        Device exact = new ReferenceBackend().open(options);
        return (Device) Proxy.newProxyInstance(
                Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("linear")) {
                        linear(exact, (Buffer) arguments[0], (int) arguments[1], (Projection[]) arguments[2]);
                        return null;
                    }
                    if (method.getName().equals("gatedActivation") && arguments[0] == Gate.GELU) {
                        gelu((Buffer) arguments[1], (Buffer) arguments[2], (long) arguments[3], (Buffer) arguments[4]);
                        return null;
                    }
                    try {
                        return method.invoke(exact, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    private static void linear(Device exact, Buffer x, int rows, Projection[] projections) {
        for (Projection projection : projections) {
            WeightLayout.Element element = projection.weight().layout().element();
            if (element != WeightLayout.Element.F16 && element != WeightLayout.Element.BF16) {
                exact.linear(x, rows, projection);
                continue;
            }
            long count = (long) rows * projection.weight().columns();
            float[] values = floats(x, count);
            for (int i = 0; i < count; i++) {
                values[i] = element == WeightLayout.Element.F16 ? fp16(values[i]) : bf16(values[i]);
            }
            try (Buffer rounded = exact.upload(values)) {
                exact.linear(rounded, rows, projection);
            }
        }
    }

    private static float[] floats(Buffer buffer, long count) {
        float[] values = new float[Math.toIntExact(count)];
        buffer.read(0, MemorySegment.ofArray(values));
        return values;
    }

    private static float fp16(float value) {
        return Float.float16ToFloat(Float.floatToFloat16(value));
    }

    /** Round to nearest even at 16 bits. */
    private static float bf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return Float.intBitsToFloat((bits + 0x7FFF + (bits >>> 16 & 1)) & 0xFFFF0000);
    }

    private static void gelu(Buffer g, Buffer up, long count, Buffer out) {
        float[] gates = floats(g, count);
        float[] ups = floats(up, count);
        for (int i = 0; i < count; i++) {
            double x = fp16(gates[i]);
            double activated = x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
            gates[i] = fp16((float) activated) * ups[i];
        }
        out.write(0, MemorySegment.ofArray(gates));
    }
}
