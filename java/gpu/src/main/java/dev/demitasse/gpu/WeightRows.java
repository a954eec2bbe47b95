package dev.demitasse.gpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

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
        this.elementBytes = layout.element().bits() / Byte.SIZE;
        int multiple = order.columns(layout.element());
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
                float[] values = reader.floats(row);
                for (int k = 0; k < columns; k++) {
                    memory.segment().set(JAVA_FLOAT, at(row, k), values[k]);
                }
            } else {
                reader.narrow(row, narrow);
                for (int k = 0; k < columns; k++) {
                    memory.segment().set(JAVA_SHORT, at(row, k), narrow[k]);
                }
            }
        }
    }

    /** Where an element lies. */
    private long at(int row, int column) {
        int outputs = order.floatOutputs();
        int inRow = column * elementBytes;
        return (long) (row / outputs) * outputs * stride
                + ((long) (inRow / Integer.BYTES) * outputs + row % outputs) * Integer.BYTES
                + inRow % Integer.BYTES;
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
