package dev.demitasse.vector;

import dev.demitasse.memory.HostMemory;

/**
 * Scratch for the quantized activations of a {@code linear}: see {@link QuantizeRows} for the layout. Grows as needed.
 */
final class IntegerRows implements AutoCloseable {
    private HostMemory memory = HostMemory.allocate(0);
    private long words;
    private long scales;
    private long sums;
    private long sums16;
    private int groups;

    /** Makes room for {@code rows} rows of {@code columns} columns. */
    void reserve(int rows, int columns) {
        groups = (columns + 31) / 32;
        long scaleBytes = aligned((long) rows * groups * 4);
        long wordBytes = rows * wordStride();
        long sums16Bytes = aligned((long) rows * groups * 8);
        long needed = wordBytes + 2 * scaleBytes + sums16Bytes;
        memory = HostMemory.grown(memory, needed);
        words = memory.address();
        scales = words + wordBytes;
        sums = scales + scaleBytes;
        sums16 = sums + scaleBytes;
    }

    private static long aligned(long bytes) {
        return (bytes + 63) / 64 * 64;
    }

    /** Groups of 32 in a row. */
    int groups() {
        return groups;
    }

    /** Bytes from one row's words to the next's. */
    long wordStride() {
        return groups * 64L;
    }

    /** Bytes from one row's scales (or sums) to the next's. */
    long scaleStride() {
        return groups * 4L;
    }

    long words(int row) {
        return words + row * wordStride();
    }

    long scales(int row) {
        return scales + row * scaleStride();
    }

    long sums(int row) {
        return sums + row * scaleStride();
    }

    long sums16(int row) {
        return sums16 + row * 2 * scaleStride();
    }

    @Override
    public void close() {
        memory.close();
    }
}
