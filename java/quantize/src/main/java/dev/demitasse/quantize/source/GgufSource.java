package dev.demitasse.quantize.source;

import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;

/** A GGUF file. */
final class GgufSource implements ModelSource {
    private static final long MOST_COLUMNS = 1 << 24;

    private final Gguf file;
    private final List<Tensor> tensors;

    /**
     * Opens a file.
     *
     * @throws UnsupportedModelException where a tensor is larger than can be read row by row
     */
    GgufSource(Path path) {
        this.file = Gguf.open(path);
        try {
            requireNoFactors();
            this.tensors = file.tensors().stream().<Tensor>map(Mapped::new).toList();
        } catch (RuntimeException | Error e) {
            file.close();
            throw e;
        }
    }

    private void requireNoFactors() {
        for (GgufTensor tensor : file.tensors()) {
            String factor = tensor.name().replaceFirst("\\.weight$", ".scale");
            if (tensor.type() == TensorType.NVFP4 && file.tensor(factor) != null) {
                throw new UnsupportedModelException("Tensor \"" + tensor.name() + "\" is NVFP4 with a factor, \""
                        + factor + "\"; such files are run, but not quantized again. Take one of another type.");
            }
        }
    }

    private record Mapped(GgufTensor tensor, MatrixSource matrix) implements Tensor {
        Mapped(GgufTensor tensor) {
            this(tensor, whole(tensor));
        }

        private static MatrixSource whole(GgufTensor t) {
            if (t.rows() > Integer.MAX_VALUE || t.columns() > MOST_COLUMNS) {
                throw new UnsupportedModelException("Tensor \"" + t.name() + "\" is " + t.rows() + " × " + t.columns()
                        + "; rows of " + MOST_COLUMNS + " elements are the longest that are read.");
            }
            return new MatrixSource(
                    t.name(), t.type(), Math.toIntExact(t.rows()), Math.toIntExact(t.columns()), t.data());
        }

        @Override
        public String name() {
            return tensor.name();
        }

        @Override
        public TensorType type() {
            return tensor.type();
        }

        @Override
        public long[] dimensions() {
            return tensor.dimensions();
        }

        @Override
        public void read(long row, float[] out) {
            matrix.dequantizeRow((int) row, out);
        }

        @Override
        public MemorySegment bytes() {
            return tensor.data();
        }
    }

    @Override
    public Metadata metadata() {
        return file.metadata();
    }

    @Override
    public List<Tensor> tensors() {
        return tensors;
    }

    @Override
    public List<Path> files() {
        return file.files();
    }

    @Override
    public void close() {
        file.close();
    }
}
