package dev.demitasse.gpu;

import dev.demitasse.quant.LevelTable;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** How one element of a matrix is stored in a GPU's memory: as its layout has it, or INT8 in fewer bits. */
public enum GpuElement {
    /** 32-bit floating point. */
    F32(32),
    /** IEEE 754 binary16. */
    F16(16),
    /** bfloat16. */
    BF16(16),
    /** Signed 8-bit integers. */
    INT8(8),
    /** Unsigned 4-bit integers. */
    INT4(4),
    /** INT8 that are among sixteen levels, as their places in the table of the matrix ({@link LevelTable}). */
    LEVELS(4);

    private final int bits;

    GpuElement(int bits) {
        this.bits = bits;
    }

    /** That of a layout, where its integers are levels of a table, or may be any. */
    static GpuElement of(WeightLayout layout, @Nullable LevelTable levels) {
        return levels != null ? LEVELS : of(layout);
    }

    /** That of a layout without a table. */
    public static GpuElement of(WeightLayout layout) {
        return valueOf(layout.element().name());
    }

    /** The levels that are all the integers of a matrix, because its file has places of them; null for none. */
    static @Nullable LevelTable levelsOf(MatrixSource source, WeightLayout layout) {
        return layout.equals(source.type().layout()) ? source.type().levels() : null;
    }

    /** The levels that all of some matrices have. */
    static @Nullable LevelTable levelsOf(List<MatrixSource> sources, WeightLayout layout) {
        LevelTable first = levelsOf(sources.getFirst(), layout);
        return sources.stream().allMatch(source -> levelsOf(source, layout) == first) ? first : null;
    }

    /** Bits of one. */
    public int bits() {
        return bits;
    }

    /** Whether elements are integers with scales. */
    public boolean quantized() {
        return this == INT8 || bits == 4;
    }
}
