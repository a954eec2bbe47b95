package dev.demitasse.device;

import java.lang.foreign.MemorySegment;

/** Memory of a device. FP32 unless an operation says otherwise; row-major. */
public interface Buffer extends AutoCloseable {
    /** {@return its length} */
    long bytes();

    /**
     * Copies {@code source} to {@code offset} bytes from the beginning.
     *
     * @param offset in bytes, from 0
     * @param source what is copied, all of it
     */
    void write(long offset, MemorySegment source);

    /**
     * Fills {@code target} from {@code offset} bytes from the beginning.
     *
     * @param offset in bytes, from 0
     * @param target receives as many bytes as it has
     */
    void read(long offset, MemorySegment target);

    @Override
    void close();
}
