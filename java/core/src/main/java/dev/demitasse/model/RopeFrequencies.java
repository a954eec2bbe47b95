package dev.demitasse.model;

import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Metadata;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Rotation angles per position of rotary position embedding, with its scalings.
 *
 * <p>Plain: angle i of position p is {@code p base^(-2i/n)}. <i>Linear</i> divides positions by a factor. <i>YaRN</i>
 * (Peng et al., 2023) divides only the low frequencies, with a ramp between, and scales the rotated vector.
 * <i>Factors</i> (Llama 3.1's {@code rope_freqs}, Phi 3's LongRoPE) divide each frequency by a number from the file.
 *
 * @param inverse radians per position of each pair
 * @param magnitude multiplies cosine and sine
 * @param temperature of queries
 */
public record RopeFrequencies(double[] inverse, float magnitude, Temperature temperature) {
    private static final float YARN_BETA_FAST = 32;
    private static final float YARN_BETA_SLOW = 1;

    /**
     * The tensors of frequency factors, each null where the file has none.
     *
     * @param always {@code rope_freqs}
     * @param longContext {@code rope_factors_long}, beyond the original context length
     * @param shortContext {@code rope_factors_short}, within it
     */
    public record Factors(float @Nullable [] always, float @Nullable [] longContext, float @Nullable [] shortContext) {}

    /**
     * A temperature (Llama 4, Ministral 3) multiplies queries by {@code 1 + scale ln(1 + floor((p + offset) /
     * positions))}.
     *
     * @param scale 0 for none
     * @param positions after which it grows
     * @param offset added to positions
     */
    public record Temperature(float scale, int positions, int offset) {
        /** Of queries that have none. */
        public static final Temperature NONE = new Temperature(0, 1, 0);

        double factor(int position) {
            return 1 + scale * Math.log1p(Math.floorDiv((long) position + offset, positions));
        }
    }

    /** A number that is the same for the same angles, on every machine. */
    int signature() {
        int signature = Float.hashCode(magnitude);
        for (double each : inverse) {
            signature = 31 * signature + Float.hashCode((float) each); // which no machine computes otherwise
        }
        return signature;
    }

    /** Elements of a head that are rotated. */
    public int dimensions() {
        return inverse.length * 2;
    }

    private static RopeFrequencies of(double[] inverse, float magnitude) {
        return new RopeFrequencies(inverse, magnitude, Temperature.NONE);
    }

    /** The same for queries with a temperature. */
    RopeFrequencies withTemperature(Temperature of) {
        return new RopeFrequencies(inverse, magnitude, of);
    }

    /** The same angles of vectors with another length. */
    RopeFrequencies withMagnitude(float other) {
        return new RopeFrequencies(inverse, other, temperature);
    }

    /** Heads that are not rotated, so that only a temperature changes them. */
    static RopeFrequencies none(int dimensions) {
        return of(new double[dimensions / 2], 1);
    }

    /** Unscaled frequencies. */
    static RopeFrequencies plain(int dimensions, float base) {
        double[] inverse = new double[dimensions / 2];
        for (int i = 0; i < inverse.length; i++) {
            inverse[i] = Math.pow(base, -2.0 * i / dimensions);
        }
        return of(inverse, 1);
    }

    static RopeFrequencies read(
            Metadata metadata, String prefix, int dimensions, float base, int trained, Factors factors, int context) {
        double[] inverse = plain(dimensions, base).inverse;
        int original = metadata.integer(prefix + "rope.scaling.original_context_length", trained);
        float[] perPair = factors.always != null
                ? factors.always
                : context > original ? factors.longContext : factors.shortContext;
        if (perPair != null) {
            if (perPair.length != inverse.length) {
                throw metadata.bad(
                        prefix + "rope.dimension_count",
                        "asks for " + inverse.length + " RoPE factors; the file has " + perPair.length);
            }
            for (int i = 0; i < inverse.length; i++) {
                inverse[i] /= perPair[i];
            }
        }
        double factor =
                metadata.number(prefix + "rope.scaling.factor", metadata.number(prefix + "rope.scale_linear", 1));
        if (!(factor > 0)) {
            throw metadata.bad(prefix + "rope.scaling.factor", "is " + factor + "; it must be above zero");
        }
        double magnitude = metadata.number(prefix + "rope.scaling.attn_factor", 1);
        String type = metadata.string(prefix + "rope.scaling.type", factor == 1 ? "none" : "linear");
        switch (type == null ? "none" : type) {
            case "none", "longrope" -> {}
            case "linear" -> {
                for (int i = 0; i < inverse.length; i++) {
                    inverse[i] /= factor;
                }
            }
            case "yarn" -> {
                double fast = turns(metadata, prefix + "rope.scaling.yarn_beta_fast", YARN_BETA_FAST);
                double slow = turns(metadata, prefix + "rope.scaling.yarn_beta_slow", YARN_BETA_SLOW);
                yarn(inverse, base, original, factor, fast, slow);
                String key = prefix + "rope.scaling.yarn_log_multiplier";
                double multiplier = metadata.number(key, 0);
                double divisor = 1 + 0.1 * multiplier * Math.log(factor);
                if (!(divisor > 0)) {
                    throw metadata.bad(key, "is " + multiplier + ", so that heads would be divided by " + divisor);
                }
                magnitude *= (1 + 0.1 * Math.log(factor)) / divisor;
            }
            default ->
                throw new UnsupportedModelException(
                        "RoPE scaling \"" + type + "\" is not supported; linear and yarn are.");
        }
        return of(inverse, (float) magnitude);
    }

    private static float turns(Metadata metadata, String key, float otherwise) {
        float turns = metadata.number(key, otherwise);
        if (!(turns > 0)) {
            throw metadata.bad(key, "is " + turns + "; it must be above zero");
        }
        return turns;
    }

    private static void yarn(double[] inverse, double base, int original, double factor, double fast, double slow) {
        int dimensions = inverse.length * 2;
        double low = Math.max(0, Math.floor(turnsDimension(dimensions, base, original, fast)));
        double high = Math.min(dimensions - 1, Math.ceil(turnsDimension(dimensions, base, original, slow)));
        for (int i = 0; i < inverse.length; i++) {
            double ramp = Math.clamp((i - low) / Math.max(0.001, high - low), 0, 1);
            inverse[i] = inverse[i] / factor * ramp + inverse[i] * (1 - ramp);
        }
    }

    /** The pair whose wave turns {@code turns} times in the original context. */
    private static double turnsDimension(int dimensions, double base, int original, double turns) {
        return dimensions * Math.log(original / (turns * 2 * Math.PI)) / (2 * Math.log(base));
    }

    /** Writes (cosine, sine) of every pair at {@code position} to {@code out} from {@code at} on. */
    void angles(int position, float[] out, int at) {
        double factor = magnitude * temperature.factor(position);
        for (int i = 0; i < inverse.length; i++) {
            double angle = position * inverse[i];
            out[at + 2 * i] = (float) (Math.cos(angle) * factor);
            out[at + 2 * i + 1] = (float) (Math.sin(angle) * factor);
        }
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof RopeFrequencies that
                && magnitude == that.magnitude
                && temperature.equals(that.temperature)
                && Arrays.equals(inverse, that.inverse);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(inverse);
    }
}
