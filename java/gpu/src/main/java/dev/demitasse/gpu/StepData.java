package dev.demitasse.gpu;

import java.lang.foreign.MemorySegment;

/** Memory for a list's data: the host's, and where a copy of it goes on the device. */
public interface StepData {
    /** The host's. */
    MemorySegment memory();

    /** The device's, as an address. */
    long address();
}
