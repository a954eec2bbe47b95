package dev.demitasse.cuda;

import dev.demitasse.device.KvStore;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import java.util.Locale;

/** The pages of a cache in device memory ({@code cuda/include/demitasse/pages.cuh}). */
final class CudaKvStore implements KvStore {
    private static final int ELEMENT_MULTIPLE = 16;
    private static final int MOST_ELEMENTS = 256;
    /** Left for workspaces, and for what the driver takes for kernels and graphs. */
    private static final long RESERVED_BYTES = 32L << 20;

    private final KvShape shape;
    private final String appendKernel;
    private final String[] decodeKernels; // for one query head of a key head, and for more
    private final CudaMemory memory; // keys, values, scales of keys, scales of values
    private final long elementBytes;
    private final long scaleBytes;

    CudaKvStore(KvShape shape, CudaContext context, LaunchList launches) {
        if (shape.headDim() > MOST_ELEMENTS) {
            throw new UsageException("cuda: heads of " + shape.headDim() + " elements are not supported; at most "
                    + MOST_ELEMENTS + " are.");
        }
        this.shape = shape;
        this.appendKernel = "kv_append_" + type();
        String decode = "attention_decode_" + type() + "_heads";
        String most = shape.type() == KvType.F32 ? "" : shape.headDim() <= 128 ? "_dim128" : "_dim256";
        this.decodeKernels = new String[] {decode + decodeHeads(1) + most, decode + decodeHeads(2) + most};
        long vectors = (long) shape.layers() * shape.pages() * shape.kvHeads() * KvShape.PAGE;
        this.elementBytes = vectors * paddedDim() * shape.type().bytes();
        this.scaleBytes = shape.scales() * Float.BYTES;
        long bytes = 2 * (elementBytes + scaleBytes);
        long free = Math.max(0, context.freeBytes() - RESERVED_BYTES);
        if (bytes > free) {
            long perPage = bytes / Math.max(1, shape.pages());
            throw new OutOfDeviceMemoryException("cuda: a cache of " + shape.pages() * KvShape.PAGE
                    + " positions takes " + CudaContext.mebibytes(bytes) + " MiB, and "
                    + CudaContext.mebibytes(free) + " MiB are free (" + context.ledger()
                    + "); the longest that fits is " + free / perPage * KvShape.PAGE
                    + " positions, longer with a cache of INT8 or FP8.");
        }
        this.memory = new CudaMemory(bytes, context, launches, CudaContext.Purpose.CACHE);
    }

    /** Elements of a head with padding. */
    int paddedDim() {
        return (shape.headDim() + ELEMENT_MULTIPLE - 1) / ELEMENT_MULTIPLE * ELEMENT_MULTIPLE;
    }

    /** The kernel that stores keys and values. Names are made once: they are asked for in every step. */
    String appendKernel() {
        return appendKernel;
    }

    /** How many query heads of a key head the kernel of decode attention takes at once, where there are {@code group}. */
    int decodeHeads(int group) {
        return shape.type() != KvType.F32 ? 8 : group == 1 ? 1 : 4;
    }

    /** The threads of its blocks. */
    int decodeThreads() {
        return shape.type() == KvType.F32 ? 128 : 256;
    }

    /** The kernel of decode attention where a key head has {@code group} query heads. */
    String decodeKernel(int group) {
        return decodeKernels[group == 1 ? 0 : 1];
    }

    /** The kernel of prefill attention for heads of at most {@code dim} elements. */
    String prefillKernel(int dim) {
        return "attention_prefill_" + type() + "_dim" + dim;
    }

    private String type() {
        return shape.type().name().toLowerCase(Locale.ROOT);
    }

    /** The words of {@code KvPages}. */
    long[] words() {
        long base = memory.address();
        boolean scaled = shape.type().scaled();
        return new long[] {
            base,
            base + elementBytes,
            scaled ? base + 2 * elementBytes : 0,
            scaled ? base + 2 * elementBytes + scaleBytes : 0,
            shape.pages(),
            shape.kvHeads(),
            shape.headDim()
        };
    }

    @Override
    public KvShape shape() {
        return shape;
    }

    @Override
    public void close() {
        memory.close();
    }
}
