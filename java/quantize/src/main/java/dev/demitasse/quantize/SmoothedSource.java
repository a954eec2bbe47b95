package dev.demitasse.quantize;

import dev.demitasse.gguf.Metadata;
import dev.demitasse.quant.RotatedColumns;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quantize.source.ModelSource;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A model whose channels are scaled and rotated, so that it computes the same with smoother activations. */
final class SmoothedSource implements ModelSource {
    private final ModelSource source;
    private final List<Tensor> tensors;

    SmoothedSource(ModelSource source, Smoothing smoothing) {
        this.source = source;
        this.tensors = source.tensors().stream()
                .map(tensor -> scaled(tensor, smoothing))
                .toList();
    }

    private static Tensor scaled(Tensor tensor, Smoothing smoothing) {
        float[] columns = smoothing.columns(tensor.name());
        float[] rows = smoothing.rows(tensor.name());
        boolean rotated = smoothing.rotates(tensor.name());
        return columns == null && rows == null && !rotated ? tensor : new Scaled(tensor, columns, rows, rotated);
    }

    /**
     * A tensor with factors.
     *
     * @param columnFactors multiply a matrix's columns
     * @param rowDivisors divide a matrix's rows, or a vector's elements
     * @param rotated whether columns are rotated after that
     */
    private record Scaled(
            Tensor tensor, float @Nullable [] columnFactors, float @Nullable [] rowDivisors, boolean rotated)
            implements Tensor {
        @Override
        public String name() {
            return rotated ? RotatedColumns.name(tensor.name()) : tensor.name();
        }

        @Override
        public TensorType type() {
            return tensor.dimensions().length == 1 ? TensorType.F32 : tensor.type();
        }

        @Override
        public long[] dimensions() {
            return tensor.dimensions();
        }

        @Override
        public void read(long row, float[] out) {
            tensor.read(row, out);
            boolean vector = dimensions().length == 1;
            for (int c = 0; c < columns(); c++) {
                out[c] *= columnFactors == null ? 1 : columnFactors[c];
                out[c] /= rowDivisors == null ? 1 : rowDivisors[vector ? c : (int) row];
            }
            if (rotated) {
                RotatedColumns.rotate(out, Math.toIntExact(columns()));
            }
        }

        @Override
        public @Nullable MemorySegment bytes() {
            return null;
        }
    }

    @Override
    public Metadata metadata() {
        return source.metadata();
    }

    @Override
    public List<Tensor> tensors() {
        return tensors;
    }

    @Override
    public List<Path> files() {
        return source.files();
    }

    @Override
    public void close() {
        source.close();
    }
}
