package dev.demitasse.gpu;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RowReader;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;

/**
 * Weights in FP32, FP16 or BF16 as a GPU reads them: rows padded with zeros, one after the other or with their words
 * side by side ({@link WeightOrder}).
 */
public final class WeightRows implements AutoCloseable {
    private final WeightOrder order;
    private final int elementBytes;
    private final long stride;
    private final HostMemory memory;

    /**
     * Packs a matrix, with all cores.
     *
     * @throws dev.demitasse.exception.ModelFormatException where a weight is not finite
     * @throws dev.demitasse.exception.UsageException where a weight is beyond the largest number of a 16-bit layout
     */
    public WeightRows(MatrixSource source, WeightLayout layout, WeightOrder order) {
        this.order = order;
        GpuElement element = GpuElement.of(layout);
        this.elementBytes = element.bits() / Byte.SIZE;
        int multiple = order.columns(element);
        this.stride = (long) (source.columns() + multiple - 1) / multiple * multiple * elementBytes;
        int outputs = order.floatOutputs();
        this.memory = HostMemory.allocate(stride * ((source.rows() + outputs - 1) / outputs) * outputs);
        try {
            int threads = Math.min(source.rows(), 4 * Runtime.getRuntime().availableProcessors());
            IntStream.range(0, threads).parallel().forEach(part -> {
                int from = (int) ((long) source.rows() * part / threads);
                int to = (int) ((long) source.rows() * (part + 1) / threads);
                pack(source.reader(layout), layout, source.columns(), from, to);
            });
        } catch (RuntimeException | Error e) {
            memory.close();
            throw e;
        }
    }

    private void pack(RowReader reader, WeightLayout layout, int columns, int from, int to) {
        boolean wide = layout.element() == WeightLayout.Element.F32;
        short[] narrow = new short[wide ? 0 : columns];
        for (int row = from; row < to; row++) {
            if (wide) {
                put(MemorySegment.ofArray(reader.floats(row)).asSlice(0, (long) columns * elementBytes), row);
            } else {
                reader.narrow(row, narrow);
                put(MemorySegment.ofArray(narrow), row);
            }
        }
    }

    /** Puts a row's elements where its words lie. */
    private void put(MemorySegment elements, int row) {
        int outputs = order.floatOutputs();
        long first = (long) (row / outputs) * outputs * stride + row % outputs * (long) Integer.BYTES;
        if (outputs == 1) {
            MemorySegment.copy(elements, 0, memory.segment(), first, elements.byteSize());
            return;
        }
        long words = elements.byteSize() / Integer.BYTES;
        for (long i = 0; i < words; i++) {
            int word = elements.get(JAVA_INT_UNALIGNED, i * Integer.BYTES);
            memory.segment().set(JAVA_INT_UNALIGNED, first + i * Integer.BYTES * outputs, word);
        }
        long end = words * Integer.BYTES;
        if (end < elements.byteSize()) { // a 16-bit element is left
            memory.segment().set(JAVA_SHORT_UNALIGNED, first + end * outputs, elements.get(JAVA_SHORT_UNALIGNED, end));
        }
    }

    /** Bytes of a row. */
    public long stride() {
        return stride;
    }

    /** All rows. */
    public MemorySegment segment() {
        return memory.segment();
    }

    @Override
    public void close() {
        memory.close();
    }
}
