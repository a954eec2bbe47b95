package dev.demitasse.gpu;

import java.lang.foreign.MemorySegment;

/**
 * The memory of a device, by addresses: numbers that steps add offsets to, and that the device makes of them what its
 * kernels take. 0 is no address. Not thread-safe: its owner serializes.
 */
public interface GpuMemory {
    /** The device's name, with which messages begin. */
    String device();

    /**
     * Zeroed memory, at least one byte, aligned to 128.
     *
     * @throws dev.demitasse.exception.OutOfDeviceMemoryException where there is not so much; the message says what
     *     holds the rest
     */
    long allocate(long bytes, MemoryLedger.Purpose purpose);

    /** Bytes of one {@link #allocate}, at most; what is larger is split. */
    default long mostBytes() {
        return Long.MAX_VALUE;
    }

    /** Gives memory back, where the device is usable. What was launched on it must be complete. */
    void free(long address, long bytes, MemoryLedger.Purpose purpose);

    /** Copies from the host, after all that was launched, before this returns. */
    void write(long address, MemorySegment source);

    /** Copies to the host, after all that was launched, before this returns. */
    void read(long address, MemorySegment target);

    /**
     * Memory of the host from which and to which the device copies quickly, zeroed.
     *
     * @throws dev.demitasse.exception.OutOfDeviceMemoryException where there is not so much
     */
    StagingMemory allocateStaging(long bytes);

    /** Waits until all that was launched is complete; {@code doing} says what, should it fail. */
    void synchronize(String doing);

    /** Bytes that the device still has. */
    long freeBytes();

    /**
     * For what is only recorded.
     *
     * @throws dev.demitasse.exception.DeviceFailedException where the device is broken
     */
    void requireUsable();

    /** Whether the device is neither closed nor broken, so that memory of it can still be given back. */
    boolean usable();

    /** What holds memory. */
    MemoryLedger ledger();

    /** The message of an {@code OutOfDeviceMemoryException}. */
    default String doNotFit(long bytes, MemoryLedger.Purpose purpose) {
        return device() + ": " + MemoryLedger.mebibytes(bytes) + " MiB for " + purpose + " do not fit: "
                + MemoryLedger.mebibytes(freeBytes()) + " MiB are free; " + ledger() + ".";
    }
}
