package dev.demitasse.quant;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The GGUF tensor types that are read: one row of a table each. */
public enum TensorType {
    /** 32-bit floating point. */
    F32(0, 1, 4, WeightLayout.F32, null),
    /** IEEE 754 binary16. */
    F16(1, 1, 2, WeightLayout.F16, null),
    /** bfloat16. */
    BF16(30, 1, 2, WeightLayout.BF16, null),
    /** 4 bits, scale per 32. */
    Q4_0(2, 32, 18, WeightLayout.int4(32), BlockCodecs::q4_0, BlockOrder.NIBBLES),
    /** 4 bits, scale and minimum per 32. */
    Q4_1(3, 32, 20, WeightLayout.int4(32).withMinimum(), BlockCodecs::q4_1, BlockOrder.NIBBLES),
    /** 5 bits, scale per 32. */
    Q5_0(6, 32, 22, WeightLayout.int8(32), BlockCodecs::q5_0),
    /** 5 bits, scale and minimum per 32. */
    Q5_1(7, 32, 24, WeightLayout.int8(32).withMinimum(), BlockCodecs::q5_1),
    /** 8 bits, scale per 32. */
    Q8_0(8, 32, 34, WeightLayout.int8(32), BlockCodecs::q8_0, BlockOrder.BYTES),
    /** 2 bits, 4-bit scale and minimum per 16. */
    Q2_K(10, 256, 84, WeightLayout.int4(16).withMinimum(), BlockCodecs::q2_k),
    /** 3 bits, 6-bit scale per 16. */
    Q3_K(11, 256, 110, WeightLayout.int4(16), BlockCodecs::q3_k),
    /** 4 bits, 6-bit scale and minimum per 32. */
    Q4_K(12, 256, 144, WeightLayout.int4(32).withMinimum(), BlockCodecs::q4_k),
    /** 5 bits, 6-bit scale and minimum per 32. */
    Q5_K(13, 256, 176, WeightLayout.int8(32).withMinimum(), BlockCodecs::q5_k),
    /** 6 bits, 8-bit scale per 16. */
    Q6_K(14, 256, 210, WeightLayout.int8(16), BlockCodecs::q6_k),
    /** 4 bits that index 16 uneven levels, scale per 32. */
    IQ4_NL(20, 32, 18, WeightLayout.int8(32), BlockCodecs::iq4_nl, LevelTable.IQ4),
    /** 4 bits that index 16 uneven levels, 6-bit scale per 32. */
    IQ4_XS(23, 256, 136, WeightLayout.int8(32), BlockCodecs::iq4_xs, LevelTable.IQ4),
    /** FP4 (E2M1), a power of two as scale per 32. */
    MXFP4(39, 32, 17, WeightLayout.int8(32), BlockCodecs::mxfp4, LevelTable.FP4),
    /** FP4 (E2M1), FP8 scale (E4M3) per 16. */
    NVFP4(40, 64, 36, WeightLayout.int8(16), CodebookCodecs::nvfp4, LevelTable.FP4),
    /** 3.4 bits: rows of a codebook of four, 4-bit scale per 32. */
    IQ3_S(21, 256, 110, WeightLayout.int8(32), CodebookCodecs::iq3_s),
    /** 3.1 bits: rows of a codebook of four, 4-bit scale per 32. */
    IQ3_XXS(18, 256, 98, WeightLayout.int8(32), CodebookCodecs::iq3_xxs),
    /** 2.6 bits: rows of a codebook of eight, 4-bit scale per 16. */
    IQ2_S(22, 256, 82, WeightLayout.int8(16), CodebookCodecs::iq2_s),
    /** 2.3 bits: rows of a codebook of eight, 4-bit scale per 16. */
    IQ2_XS(17, 256, 74, WeightLayout.int8(16), CodebookCodecs::iq2_xs),
    /** 2.1 bits: rows of a codebook of eight, 4-bit scale per 32. */
    IQ2_XXS(16, 256, 66, WeightLayout.int8(32), CodebookCodecs::iq2_xxs),
    /** 1.75 bits: rows of a codebook of eight, 3-bit scale per 16. */
    IQ1_M(29, 256, 56, WeightLayout.int8(16), CodebookCodecs::iq1_m),
    /** 1.6 bits: rows of a codebook of eight, 3-bit scale per 32. */
    IQ1_S(19, 256, 50, WeightLayout.int8(32), CodebookCodecs::iq1_s),
    /** 1.7 bits: five ternary digits a byte, scale per 256. */
    TQ1_0(34, 256, 54, WeightLayout.int4(32), CodebookCodecs::tq1_0),
    /** 2 bits: ternary, scale per 256. */
    TQ2_0(35, 256, 66, WeightLayout.int4(32), CodebookCodecs::tq2_0);

    /** Types that exist but are not read, for messages. */
    private static final Map<Integer, String> OTHERS = Map.ofEntries(
            Map.entry(9, "Q8_1"),
            Map.entry(15, "Q8_K"),
            Map.entry(24, "I8"),
            Map.entry(25, "I16"),
            Map.entry(26, "I32"),
            Map.entry(27, "I64"),
            Map.entry(28, "F64"));

    private static final TensorType[] VALUES = values();

    private final int id;
    private final int blockElements;
    private final int blockBytes;
    private final WeightLayout layout;
    private final @Nullable BlockCodec codec;
    private final @Nullable BlockOrder order;
    private final @Nullable LevelTable levels;

    TensorType(int id, int blockElements, int blockBytes, WeightLayout layout, @Nullable BlockCodec codec) {
        this(id, blockElements, blockBytes, layout, codec, null, null);
    }

    TensorType(int id, int blockElements, int blockBytes, WeightLayout layout, BlockCodec codec, BlockOrder order) {
        this(id, blockElements, blockBytes, layout, codec, order, null);
    }

    TensorType(int id, int blockElements, int blockBytes, WeightLayout layout, BlockCodec codec, LevelTable levels) {
        this(id, blockElements, blockBytes, layout, codec, null, levels);
    }

    TensorType(
            int id,
            int blockElements,
            int blockBytes,
            WeightLayout layout,
            @Nullable BlockCodec codec,
            @Nullable BlockOrder order,
            @Nullable LevelTable levels) {
        this.id = id;
        this.blockElements = blockElements;
        this.blockBytes = blockBytes;
        this.layout = layout;
        this.codec = codec;
        this.order = order;
        this.levels = levels;
    }

    /**
     * {@return the type with that id in a GGUF file, or null where it is not read}
     *
     * @param id as the GGUF specification numbers types
     */
    public static @Nullable TensorType ofId(int id) {
        for (TensorType type : VALUES) {
            if (type.id == id) {
                return type;
            }
        }
        return null;
    }

    /**
     * {@return the id with its name where it has one, for messages}
     *
     * @param id as the GGUF specification numbers types; any integer
     */
    public static String describeId(int id) {
        TensorType type = ofId(id);
        String name = type != null ? type.name() : OTHERS.getOrDefault(id, "unknown");
        return Integer.toUnsignedString(id) + " (" + name + ")";
    }

    /** {@return the id in a GGUF file} */
    public int id() {
        return id;
    }

    /** {@return elements of a block} */
    public int blockElements() {
        return blockElements;
    }

    /** {@return bytes of a block} */
    public int blockBytes() {
        return blockBytes;
    }

    /**
     * {@return bytes of a row of {@code columns} elements}
     *
     * @param columns elements, a multiple of {@link #blockElements}
     */
    public long rowBytes(long columns) {
        return columns / blockElements * blockBytes;
    }

    /** {@return the levels that integers are in its layout, where blocks have their places; else null} */
    public @Nullable LevelTable levels() {
        return levels;
    }

    /** {@return the layout that a device computes on} */
    public WeightLayout layout() {
        return layout;
    }

    /**
     * {@return where in a block of 256 elements the FP16 number lies that scales are multiples of, in bytes; -1 for
     * none}
     */
    public int superScaleOffset() {
        return switch (this) {
            case Q4_K, Q5_K, IQ4_XS, IQ3_S -> 0;
            case Q2_K -> 80;
            case Q3_K -> 108;
            case Q6_K -> 208;
            default -> -1;
        };
    }

    /** {@return the same of minimums} */
    public int superMinOffset() {
        return switch (this) {
            case Q4_K, Q5_K -> 2;
            case Q2_K -> 82;
            default -> -1;
        };
    }

    /** The codec of a quantized type; null for floating-point types, whose bits are the layout's. */
    @Nullable
    BlockCodec codec() {
        return codec;
    }

    /**
     * {@return how the integers lie in blocks of 32 columns, where a device can take them over by words; else null}
     */
    public @Nullable BlockOrder order() {
        return order;
    }
}
