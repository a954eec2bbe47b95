package dev.demitasse.quantize;

import dev.demitasse.gguf.Metadata;
import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A model that is read tensor by tensor, whatever its files are. */
interface ModelSource extends AutoCloseable {
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

    /** Hyperparameters and vocabulary, as a GGUF file has them. */
    Metadata metadata();

    /** All tensors in the order in which they are written. */
    List<Tensor> tensors();

    /** The files that it is read from. */
    List<Path> files();

    @Override
    void close();
}
