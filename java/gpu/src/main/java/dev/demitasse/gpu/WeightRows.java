package dev.demitasse.gpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.RowReader;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;

/** Weights in FP32, FP16 or BF16 as a GPU reads them: rows in order, each padded to 16 bytes with zeros. */
public final class WeightRows implements AutoCloseable {
    private static final int ALIGNMENT = 16;

    private final long stride;
    private final HostMemory memory;

    /**
     * Packs a matrix, with all cores.
     *
     * @throws dev.demitasse.exception.ModelFormatException where a weight is not finite
     * @throws dev.demitasse.exception.UsageException where a weight is beyond the largest number of a 16-bit layout
     */
    public WeightRows(MatrixSource source, WeightLayout layout) {
        int bytes = layout.element().bits() / Byte.SIZE;
        this.stride = ((long) source.columns() * bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        this.memory = HostMemory.allocate(stride * source.rows());
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
                MemorySegment.copy(reader.floats(row), 0, memory.segment(), JAVA_FLOAT, row * stride, columns);
            } else {
                reader.narrow(row, narrow);
                MemorySegment.copy(narrow, 0, memory.segment(), JAVA_SHORT, row * stride, columns);
            }
        }
    }

    /** Bytes from row to row. */
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
