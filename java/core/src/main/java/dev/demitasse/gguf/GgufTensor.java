package dev.demitasse.gguf;

import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;

/**
 * A tensor of a GGUF file: a description and the mapped bytes, no arithmetic.
 *
 * @param name its name, unique in the file
 * @param type how its elements are stored
 * @param columns elements of a row, the fastest dimension
 * @param rows product of the other dimensions
 * @param dimensions all dimensions as the file states them, fastest first
 * @param data the bytes, read-only, valid while the {@link Gguf} is open
 */
public record GgufTensor(String name, TensorType type, long columns, long rows, long[] dimensions, MemorySegment data) {
    /** {@return number of elements} */
    public long elements() {
        return columns * rows;
    }
}
