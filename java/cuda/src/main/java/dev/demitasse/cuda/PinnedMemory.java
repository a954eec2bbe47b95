package dev.demitasse.cuda;

import static jcuda.driver.JCudaDriver.cuMemFreeHost;

import dev.demitasse.gpu.StagingMemory;
import java.lang.foreign.MemorySegment;
import jcuda.Pointer;

/** Memory of the host that the GPU reaches at the same address. */
record PinnedMemory(Pointer pointer, MemorySegment segment) implements StagingMemory {
    @Override
    public void close() {
        cuMemFreeHost(pointer);
    }
}
