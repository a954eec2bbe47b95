package dev.demitasse.quantize;

import dev.demitasse.ModelShape;
import dev.demitasse.exception.UsageException;
import dev.demitasse.quant.TensorType;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Which tensor type each matrix of a model gets: a base type, and more bits where errors hurt most. Names, numbers and
 * choices are llama.cpp's ({@code llama_ftype}, {@code llama_tensor_get_type}).
 */
public enum WeightMix {
    /** 32-bit floating point. */
    F32(0, TensorType.F32),
    /** IEEE 754 binary16. */
    F16(1, TensorType.F16),
    /** bfloat16. */
    BF16(32, TensorType.BF16),
    /** 8 bits. */
    Q8_0(7, TensorType.Q8_0),
    /** The same with one scale a row, as INT8 activations have; Q8_0 to others where nothing is rotated. */
    W8A8(7, TensorType.Q8_0),
    /** 4 bits; with an importance matrix Q4_1 where the first layers come back to the residual. */
    Q4_0(2, TensorType.Q4_0, rule(TensorRole.DOWN, TensorType.Q4_1, at -> at.early() && at.importance)),
    /** 4 bits with minimums. */
    Q4_1(3, TensorType.Q4_1),
    /** 5 bits; with an importance matrix Q5_1 where the first layers come back to the residual. */
    Q5_0(8, TensorType.Q5_0, rule(TensorRole.DOWN, TensorType.Q5_1, at -> at.early() && at.importance)),
    /** 5 bits with minimums. */
    Q5_1(9, TensorType.Q5_1),
    /** 2 bits, values and outputs 3 or 4. */
    Q2_K(
            10,
            TensorType.Q2_K,
            rule(TensorRole.VALUE, TensorType.Q4_K, at -> at.shared()),
            rule(TensorRole.VALUE, TensorType.Q3_K),
            rule(TensorRole.DOWN, TensorType.Q3_K),
            rule(TensorRole.ATTENTION_OUTPUT, TensorType.Q3_K)),
    /** 2 bits. */
    Q2_K_S(
            21,
            TensorType.Q2_K,
            rule(TensorRole.VALUE, TensorType.Q4_K, at -> at.shared()),
            rule(TensorRole.DOWN, TensorType.Q4_K, Place::early)),
    /** 3 bits. */
    Q3_K_S(11, TensorType.Q3_K),
    /** 3 bits, values and outputs 4 or 5. */
    Q3_K_M(
            12,
            TensorType.Q3_K,
            rule(TensorRole.VALUE, TensorType.Q5_K, at -> at.layer < 2),
            rule(TensorRole.VALUE, TensorType.Q4_K),
            rule(TensorRole.DOWN, TensorType.Q5_K, at -> at.layer < at.layers / 16),
            rule(TensorRole.DOWN, TensorType.Q4_K),
            rule(TensorRole.ATTENTION_OUTPUT, TensorType.Q4_K)),
    /** 3 bits, values and outputs 5. */
    Q3_K_L(
            13,
            TensorType.Q3_K,
            rule(TensorRole.VALUE, TensorType.Q5_K),
            rule(TensorRole.DOWN, TensorType.Q5_K),
            rule(TensorRole.ATTENTION_OUTPUT, TensorType.Q5_K)),
    /** 4 bits, the first layers' values and feed-forward outputs 5. */
    Q4_K_S(
            14,
            TensorType.Q4_K,
            rule(TensorRole.VALUE, TensorType.Q5_K, at -> at.layer < 4),
            rule(TensorRole.DOWN, TensorType.Q5_K, Place::early)),
    /** 4 bits, half of the values and feed-forward outputs 6. */
    Q4_K_M(
            15,
            TensorType.Q4_K,
            rule(TensorRole.VALUE, TensorType.Q6_K, Place::sensitive),
            rule(TensorRole.DOWN, TensorType.Q6_K, Place::sensitive)),
    /** 5 bits. */
    Q5_K_S(16, TensorType.Q5_K),
    /** 5 bits, half of the values and feed-forward outputs 6. */
    Q5_K_M(
            17,
            TensorType.Q5_K,
            rule(TensorRole.VALUE, TensorType.Q6_K, Place::sensitive),
            rule(TensorRole.DOWN, TensorType.Q6_K, Place::sensitive)),
    /** 6 bits. */
    Q6_K(18, TensorType.Q6_K),
    /** 4 bits of uneven levels; without an importance matrix 5 where the first layers come back to the residual. */
    IQ4_NL(
            25,
            TensorType.IQ4_NL,
            rule(TensorRole.VALUE, TensorType.Q5_K, at -> at.shared()),
            rule(TensorRole.DOWN, TensorType.Q5_K, at -> at.early() && !at.importance)),
    /** The same in blocks of 256. */
    IQ4_XS(
            30,
            TensorType.IQ4_XS,
            rule(TensorRole.VALUE, TensorType.Q5_K, at -> at.shared()),
            rule(TensorRole.DOWN, TensorType.Q5_K, at -> at.early() && !at.importance)),
    /** FP4 with a power of two per 32 as scale. */
    MXFP4(38, TensorType.MXFP4);

    /** Names of one of several mixes, as llama.cpp has them. */
    private static final List<WeightMix> ALIASES = List.of(Q3_K_M, Q4_K_M, Q5_K_M);

    private static final int SHARED = 4;

    /**
     * Where a matrix stands.
     *
     * @param layer its block
     * @param layers blocks of the model
     * @param queriesPerKey query heads of a key-value head
     * @param importance whether there is an importance matrix
     */
    record Place(int layer, int layers, int queriesPerKey, boolean importance) {
        boolean early() {
            return layer < layers / 8;
        }

        /** The first and last eighth, and every third block between. */
        boolean sensitive() {
            return early() || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
        }

        /** Values so few that more bits for them cost nothing. */
        boolean shared() {
            return queriesPerKey >= SHARED;
        }
    }

    @FunctionalInterface
    private interface Condition {
        boolean holds(Place place);
    }

    private record Rule(TensorRole role, TensorType type, Condition condition) {}

    private final int fileType;
    private final TensorType base;
    private final List<Rule> rules;

    WeightMix(int fileType, TensorType base, Rule... rules) {
        this.fileType = fileType;
        this.base = base;
        this.rules = List.of(rules);
    }

    private static Rule rule(TensorRole role, TensorType type) {
        return new Rule(role, type, place -> true);
    }

    private static Rule rule(TensorRole role, TensorType type, Condition condition) {
        return new Rule(role, type, condition);
    }

    /**
     * {@return the mix with a name; {@code Q4_K} is {@code Q4_K_M}}
     *
     * @param name in any case
     * @throws UsageException where there is none
     */
    public static WeightMix named(String name) {
        String upper = name.toUpperCase(Locale.ROOT);
        for (WeightMix mix : values()) {
            if (mix.name().equals(upper)) {
                return mix;
            }
        }
        for (WeightMix mix : ALIASES) {
            if (mix.name().equals(upper + "_M")) {
                return mix;
            }
        }
        throw new UsageException(
                "There is no weight type \"" + name + "\"; there are " + Arrays.toString(values()) + ".");
    }

    /** Whether all blocks of a row have the same scale. */
    boolean rowScales() {
        return this == W8A8;
    }

    /** {@return the number of {@code general.file_type}} */
    public int fileType() {
        return fileType;
    }

    /** {@return the type of most matrices} */
    public TensorType base() {
        return base;
    }

    /**
     * {@return the type of a matrix of a model, where no importance matrix is given}
     *
     * @param name in GGUF files
     * @param columns its row length
     * @param shape the model's dimensions
     */
    public TensorType typeOf(String name, long columns, ModelShape shape) {
        if (!TensorRole.isQuantized(name, new long[] {columns, columns})) {
            return TensorType.F32; // a router stays as it is
        }
        Place place = new Place(TensorRole.layer(name), shape.layers(), shape.heads() / shape.kvHeads(), false);
        return typeOf(TensorRole.of(name), place, shape.tied(), columns);
    }

    /**
     * A matrix's type.
     *
     * @param tied whether the embedding is the output matrix too
     * @param columns its row length: a type whose block does not divide it gives way to one that does
     */
    TensorType typeOf(TensorRole role, Place place, boolean tied, long columns) {
        if (rowScales() && (role == TensorRole.OUTPUT || role == TensorRole.EMBEDDING)) {
            return TensorType.F16;
        }
        if (base.layout().element().quantized()) {
            if (role == TensorRole.OUTPUT || role == TensorRole.EMBEDDING && tied) {
                boolean eight = base == TensorType.Q8_0 || base == TensorType.MXFP4;
                return fitting(eight ? TensorType.Q8_0 : TensorType.Q6_K, columns);
            }
            for (Rule rule : rules) {
                if (rule.role == role && rule.condition.holds(place)) {
                    return fitting(rule.type, columns);
                }
            }
        }
        return fitting(base, columns);
    }

    /** The type, or where its block does not divide a row, one of more bits whose block does; F16 divides all. */
    static TensorType fitting(TensorType type, long columns) {
        if (columns % type.blockElements() == 0) {
            return type;
        }
        TensorType smaller = switch (type) {
            case Q2_K, Q3_K -> TensorType.Q4_0;
            case Q4_K -> TensorType.Q5_0;
            case Q5_K -> TensorType.Q5_1;
            case Q6_K -> TensorType.Q8_0;
            case IQ4_XS -> TensorType.IQ4_NL;
            default -> TensorType.F16;
        };
        return fitting(smaller, columns);
    }
}
