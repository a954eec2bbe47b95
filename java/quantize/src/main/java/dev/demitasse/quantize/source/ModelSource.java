package dev.demitasse.quantize.source;

import dev.demitasse.gguf.Metadata;
import dev.demitasse.quant.TensorType;
import dev.demitasse.safetensors.Safetensors;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A model that is read tensor by tensor, whatever its files are. */
public interface ModelSource extends AutoCloseable {
    /** Matrices and vectors, named as in GGUF files. */
    interface Tensor {
        String name();

        /** How its elements are stored. */
        TensorType type();

        /** Fastest first. */
        long[] dimensions();

        /** Elements of a row. */
        default int columns() {
            return Math.toIntExact(dimensions()[0]);
        }

        /** Product of the other dimensions. */
        default long rows() {
            long rows = 1;
            for (int i = 1; i < dimensions().length; i++) {
                rows *= dimensions()[i];
            }
            return rows;
        }

        /** Reads a row as FP32. */
        void read(long row, float[] out);

        /** The tensor's bytes where they may be taken over as they are, else null. */
        @Nullable
        MemorySegment bytes();
    }

    /**
     * Opens a GGUF file, or a checkpoint by its folder, its safetensors file or its index.
     *
     * @throws dev.demitasse.exception.ModelFormatException where it is damaged
     * @throws dev.demitasse.exception.UnsupportedModelException where it is sound but of a kind that is not read
     * @throws dev.demitasse.exception.UsageException where a file is missing or cannot be opened
     */
    static ModelSource open(Path path) {
        return Files.isDirectory(path) || Safetensors.isNamed(path)
                ? new HuggingFaceSource(path)
                : new GgufSource(path);
    }

    /** Hyperparameters and vocabulary, as a GGUF file has them. */
    Metadata metadata();

    /** All tensors in the order in which they are written. */
    List<Tensor> tensors();

    /** The files that it is read from. */
    List<Path> files();

    @Override
    void close();
}
