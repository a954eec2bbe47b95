package dev.demitasse;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.CheckedDevice;
import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Projection;
import dev.demitasse.exception.UsageException;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A quantized matrix to multiply by, for applications without a language model: {@code y = x Wᵀ}.
 *
 * <pre>{@code
 * try (Device device = Devices.open("auto", DeviceOptions.defaults());
 *         Linear linear = Linear.quantize(device, weights, 1024, 768, WeightLayout.int8(32))) {
 *     float[] y = linear.multiply(x, batch); // x: batch × 768, y: batch × 1024
 * }
 * }</pre>
 *
 * <p>Thread-safe, also beside other matrices on the same device: multiplications run one after another. A row of the
 * input with NaN or an infinity gives NaN in all its outputs.
 */
public final class Linear implements AutoCloseable {
    private final CheckedDevice device;
    private final LinearWeight weight;
    private Buffer input;
    private Buffer output;
    private boolean closed;

    private Linear(CheckedDevice device, LinearWeight weight) {
        this.device = device;
        this.weight = weight;
        this.input = device.allocate(0);
        this.output = device.allocate(0);
    }

    /**
     * Quantizes a matrix by rounding to nearest and puts it on a device.
     *
     * @param device where it lies; the matrix does not close it
     * @param weights rows × columns, finite
     * @param rows outputs, at least 1
     * @param columns inputs, at least 1
     * @param layout how it shall lie there
     * @return the matrix, which the caller closes
     * @throws UsageException where the sizes do not match, a weight is not finite, or F16 or BF16 cannot hold it
     */
    public static Linear quantize(Device device, float[] weights, int rows, int columns, WeightLayout layout) {
        if (rows < 1 || columns < 1 || weights.length != (long) rows * columns) {
            throw new UsageException(weights.length + " weights are not " + rows + " rows of " + columns + ".");
        }
        for (int i = 0; i < weights.length; i++) {
            if (!Float.isFinite(weights[i])) {
                throw new UsageException("The weight in row " + i / columns + ", column " + i % columns + " is "
                        + weights[i] + "; weights are finite numbers.");
            }
        }
        CheckedDevice checked = device instanceof CheckedDevice already ? already : CheckedDevice.of(device);
        ByteBuffer bytes = ByteBuffer.allocateDirect(Math.multiplyExact(weights.length, Float.BYTES))
                .order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(weights);
        MatrixSource source = new MatrixSource("matrix", TensorType.F32, rows, columns, MemorySegment.ofBuffer(bytes));
        return new Linear(checked, checked.upload(source, layout));
    }

    /**
     * Multiplies rows of {@link #columns()} elements.
     *
     * @param x rows × {@link #columns()}
     * @param rows how many rows, at least 1
     * @return rows × {@link #rows()}
     * @throws UsageException where the sizes do not match, or the matrix is closed
     */
    public float[] multiply(float[] x, int rows) {
        if (rows < 1 || x.length != (long) rows * weight.columns()) {
            throw new UsageException(x.length + " elements are not " + rows + " rows of " + weight.columns() + ".");
        }
        float[] y = new float[Math.multiplyExact(rows, weight.rows())];
        multiply(MemorySegment.ofArray(x), rows, OutputType.F32, MemorySegment.ofArray(y));
        return y;
    }

    /**
     * Multiplies {@code rows} rows in memory of the caller's, without copies on the Java heap; with 16-bit results half
     * as much comes back from a GPU.
     *
     * @param x rows × {@link #columns()} FP32 numbers
     * @param rows how many rows, at least 1
     * @param type of the results
     * @param y receives rows × {@link #rows()} numbers of {@code type}
     * @throws UsageException where the sizes do not match, or the matrix is closed
     */
    public void multiply(MemorySegment x, int rows, OutputType type, MemorySegment y) {
        long in = Math.multiplyExact((long) rows, weight.columns()) * Float.BYTES;
        long out = Math.multiplyExact((long) rows, weight.rows()) * type.bytes();
        if (rows < 1 || x.byteSize() != in || y.byteSize() != out) {
            throw new UsageException(rows + " rows have " + in + " bytes of input and " + out + " of " + type
                    + " results, not " + x.byteSize() + " and " + y.byteSize() + ".");
        }
        device.exclusively(() -> {
            if (closed) {
                throw new UsageException("The matrix is closed.");
            }
            input = grown(input, in);
            output = grown(output, out);
            input.write(0, x);
            device.linear(input, rows, new Projection(weight, null, output, type));
            output.read(0, y);
        });
    }

    private Buffer grown(Buffer buffer, long bytes) {
        if (buffer.bytes() >= bytes) {
            return buffer;
        }
        Buffer larger = device.allocate(bytes);
        buffer.close();
        return larger;
    }

    /** {@return outputs} */
    public int rows() {
        return weight.rows();
    }

    /** {@return inputs} */
    public int columns() {
        return weight.columns();
    }

    /** {@return bytes of the quantized matrix} */
    public long bytes() {
        return weight.bytes();
    }

    /** Frees the matrix. Closing twice, or after the device, does nothing more. */
    @Override
    public void close() {
        device.exclusively(() -> {
            if (!closed) {
                closed = true;
                input.close();
                output.close();
                weight.close();
            }
        });
    }
}
