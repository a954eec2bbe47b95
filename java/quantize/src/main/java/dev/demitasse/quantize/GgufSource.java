package dev.demitasse.quantize;

import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A GGUF file. */
final class GgufSource implements ModelSource {
    private final Path path;
    private final Gguf file;
    private final List<Tensor> tensors;

    GgufSource(Path path) {
        this.path = path;
        this.file = Gguf.open(path);
        this.tensors = file.tensors().stream().<Tensor>map(Mapped::new).toList();
    }

    private record Mapped(GgufTensor tensor, MatrixSource matrix) implements Tensor {
        Mapped(GgufTensor tensor) {
            this(tensor, whole(tensor));
        }

        private static MatrixSource whole(GgufTensor t) {
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
    public String identity() {
        try {
            return file.fileBytes() + " " + Files.getLastModifiedTime(path).toMillis() + " " + path.toRealPath();
        } catch (IOException e) {
            throw new UsageException("Cannot read " + path + ": " + e, e);
        }
    }

    @Override
    public void close() {
        file.close();
    }
}
