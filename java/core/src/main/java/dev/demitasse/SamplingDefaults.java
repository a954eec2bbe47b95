package dev.demitasse;

import dev.demitasse.gguf.Metadata;
import dev.demitasse.sampling.SamplingOptions;

/** How a model's authors want its tokens to be chosen ({@code general.sampling}). */
final class SamplingDefaults {
    private static final String PREFIX = "general.sampling.";
    /** What stands for as many tokens as there are; a context has fewer. */
    private static final int ALL = 1 << 30;

    private final Metadata metadata;

    private SamplingDefaults(Metadata metadata) {
        this.metadata = metadata;
    }

    /**
     * Those of a file; what it does not say is {@link SamplingOptions#DEFAULT}'s.
     *
     * @throws dev.demitasse.exception.ModelFormatException where a value is out of its range
     */
    static SamplingOptions of(Metadata metadata) {
        return new SamplingDefaults(metadata).read();
    }

    private SamplingOptions read() {
        SamplingOptions s = SamplingOptions.DEFAULT;
        return new SamplingOptions(
                number("temp", s.temperature(), 0, Float.MAX_VALUE),
                Math.max(0, metadata.integer(PREFIX + "top_k", s.topK())), // below 0 for all
                number("top_p", s.topP(), Float.MIN_VALUE, 1),
                number("min_p", s.minP(), 0, 1),
                number("penalty_repeat", s.repeatPenalty(), Float.MIN_VALUE, Float.MAX_VALUE),
                s.frequencyPenalty(),
                s.presencePenalty(),
                window(s.penaltyWindow()),
                s.seed());
    }

    private int window(int otherwise) {
        int tokens = metadata.integer(PREFIX + "penalty_last_n", otherwise);
        return tokens < 0 ? ALL : tokens;
    }

    private float number(String name, float otherwise, float least, float most) {
        float value = metadata.number(PREFIX + name, otherwise);
        if (!(value >= least && value <= most)) {
            throw metadata.bad(PREFIX + name, "is " + value + "; it must be " + least + " to " + most);
        }
        return value;
    }
}
