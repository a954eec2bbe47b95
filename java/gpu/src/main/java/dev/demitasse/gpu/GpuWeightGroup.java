package dev.demitasse.gpu;

import dev.demitasse.device.WeightGroup;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.quant.LevelTable;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Matrices of the same shape in one allocation, so that a kernel finds each by its number: one behind the other at
 * equal distances, and behind them their biases in order.
 */
public final class GpuWeightGroup implements WeightGroup {
    private static final int ALIGNMENT = 128;

    private final MemoryBlock memory;
    private final List<GpuWeight> matrices;
    private final long stride;
    private final long biases; // an address, or 0

    private GpuWeightGroup(MemoryBlock memory, List<GpuWeight> matrices, long stride, long biases) {
        this.memory = memory;
        this.matrices = List.copyOf(matrices);
        this.stride = stride;
        this.biases = biases;
    }

    /** Puts matrices on a device. Their scales are FP16 where that is exact for all of them. */
    static GpuWeightGroup upload(
            List<MatrixSource> sources, WeightLayout layout, List<float[]> biases, GpuWeight.Target to) {
        GpuWeightGroup narrow = upload(sources, layout, biases, to, false);
        GpuWeightGroup any = narrow != null ? narrow : upload(sources, layout, biases, to, true);
        if (any == null) {
            throw new IllegalStateException("scales are FP16, though FP32 was asked for");
        }
        return any;
    }

    /** Null where some have FP16 scales and others not, and {@code wide} does not ask for FP32. */
    private static @Nullable GpuWeightGroup upload(
            List<MatrixSource> sources, WeightLayout layout, List<float[]> biases, GpuWeight.Target to, boolean wide) {
        LevelTable levels = GpuElement.levelsOf(sources, layout);
        MemoryBlock memory = null;
        List<GpuWeight> matrices = new ArrayList<>();
        long stride = 0;
        boolean done = false;
        try {
            for (MatrixSource source : sources) {
                try (GpuWeight.Packed packed = new GpuWeight.Packed(source, layout, to, wide, levels)) {
                    if (memory == null) {
                        stride = (packed.bytes() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
                        memory = allocate(sources, stride, biases, to);
                    }
                    if (!matrices.isEmpty()
                            && packed.narrowScales() != matrices.getFirst().fp16Scales()) {
                        return null;
                    }
                    matrices.add(packed.write(memory, matrices.size() * stride));
                }
            }
            if (memory == null) {
                throw new IllegalStateException("a group of nothing");
            }
            long behind = matrices.size() * stride;
            for (int g = 0; g < biases.size(); g++) {
                MemorySegment bias = MemorySegment.ofArray(biases.get(g));
                memory.write(behind + g * bias.byteSize(), bias);
            }
            done = true;
            return new GpuWeightGroup(memory, matrices, stride, biases.isEmpty() ? 0 : memory.address() + behind);
        } finally {
            if (!done && memory != null) {
                memory.close();
            }
        }
    }

    private static MemoryBlock allocate(
            List<MatrixSource> sources, long stride, List<float[]> biases, GpuWeight.Target to) {
        long biasBytes = biases.isEmpty() ? 0 : (long) biases.size() * biases.getFirst().length * Float.BYTES;
        long bytes = sources.size() * stride + biasBytes;
        if (bytes > to.device().mostBytes()) {
            throw new OutOfDeviceMemoryException(to.device().device() + ": the " + sources.size() + " matrices of "
                    + sources.getFirst().name() + " take " + bytes + " bytes, which is more than one allocation may"
                    + " have (" + to.device().mostBytes() + "); use another device.");
        }
        return new MemoryBlock(bytes, to.device(), to.runner(), MemoryLedger.Purpose.WEIGHTS);
    }

    /** One of them; it is not closed for itself. */
    public GpuWeight matrix(int group) {
        return matrices.get(group);
    }

    /** Bytes from the beginning of a matrix to that of the next. */
    public long stride() {
        return stride;
    }

    /** The address of the first one's bias, behind which the others' lie; 0 for none. */
    public long biases() {
        return biases;
    }

    /** The address of a matrix's bias, or 0. */
    long bias(int group) {
        return biases == 0 ? 0 : biases + (long) group * rows() * Float.BYTES;
    }

    @Override
    public int groups() {
        return matrices.size();
    }

    @Override
    public int rows() {
        return matrices.getFirst().rows();
    }

    @Override
    public int columns() {
        return matrices.getFirst().columns();
    }

    @Override
    public WeightLayout layout() {
        return matrices.getFirst().layout();
    }

    @Override
    public long bytes() {
        return memory.bytes();
    }

    @Override
    public void close() {
        memory.close();
    }
}
