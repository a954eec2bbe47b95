package dev.demitasse.safetensors;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A tensor of a safetensors file.
 *
 * @param name its name, unique in the model
 * @param type how its elements are stored, little-endian
 * @param shape its dimensions, slowest first; none for a single element
 * @param data the mapped bytes, read-only, valid while the model is open
 */
public record SafetensorsTensor(String name, ElementType type, List<Long> shape, MemorySegment data) {
    /** Keeps the shape from changing. */
    public SafetensorsTensor {
        shape = List.copyOf(shape);
    }
}
