package dev.demitasse.device;

import java.lang.foreign.MemorySegment;

/** Memory of a device. FP32 unless an operation says otherwise; row-major. */
public interface Buffer extends AutoCloseable {
    /** Its length. */
    long bytes();

    /** Copies {@code source} to {@code offset} bytes from the beginning. */
    void write(long offset, MemorySegment source);

    /** Fills {@code target} from {@code offset} bytes from the beginning. */
    void read(long offset, MemorySegment target);

    @Override
    void close();
}
