package dev.demitasse.runtime;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import java.lang.foreign.MemorySegment;

/** Takes tokens that are never to be generated out of logits: those become minus infinity, on the device. */
final class Suppression implements AutoCloseable {
    private final Device device;
    private final int vocabulary;
    private final Buffer addend; // rows × vocabulary: 0, or minus infinity

    /** For so many rows at once. */
    Suppression(Device device, int rows, int vocabulary, int[] tokens) {
        this.device = device;
        this.vocabulary = vocabulary;
        float[] row = new float[vocabulary];
        for (int token : tokens) {
            row[token] = Float.NEGATIVE_INFINITY;
        }
        addend = device.allocate((long) rows * vocabulary * Float.BYTES);
        try {
            for (int i = 0; i < rows; i++) {
                addend.write((long) i * vocabulary * Float.BYTES, MemorySegment.ofArray(row));
            }
        } catch (RuntimeException | Error e) {
            addend.close();
            throw e;
        }
    }

    /** Changes the logits of {@code count} rows. */
    void apply(Buffer logits, int count) {
        device.add(logits, addend, (long) count * vocabulary);
    }

    @Override
    public void close() {
        addend.close();
    }
}
