package dev.demitasse.springai;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.model.tool.DefaultToolCallingChatOptions;
import org.springframework.ai.model.tool.StructuredOutputChatOptions;

/**
 * Options of {@link DemitasseChatModel}: those that Spring AI knows, and some of its own. What is null is as the chat
 * model's own options say, and where those are null, too, as the model's file does.
 */
public final class DemitasseChatOptions extends DefaultToolCallingChatOptions implements StructuredOutputChatOptions {
    private final @Nullable Double minP;
    private final @Nullable Double repeatPenalty;
    private final @Nullable Long seed;
    private final @Nullable String outputSchema;
    private final @Nullable String cacheSalt;

    private DemitasseChatOptions(DefaultToolCallingChatOptions options, Builder builder) {
        super(
                options.getToolCallbacks(),
                options.getToolContext(),
                options.getModel(),
                options.getFrequencyPenalty(),
                options.getMaxTokens(),
                options.getPresencePenalty(),
                options.getStopSequences(),
                options.getTemperature(),
                options.getTopK(),
                options.getTopP());
        minP = builder.minP;
        repeatPenalty = builder.repeatPenalty;
        seed = builder.seed;
        outputSchema = builder.outputSchema;
        cacheSalt = builder.cacheSalt;
    }

    /** {@return a builder of options that are all null} */
    public static Builder builder() {
        return new Builder();
    }

    /** {@return with at least which part of the probability of the most likely token others are kept} */
    public @Nullable Double getMinP() {
        return minP;
    }

    /** {@return what divides the logits of tokens that were there lately; 1 for nothing} */
    public @Nullable Double getRepeatPenalty() {
        return repeatPenalty;
    }

    /** {@return the seed of the draws: the same seed, prompt and options give the same tokens} */
    public @Nullable Long getSeed() {
        return seed;
    }

    /** {@return a JSON schema that the answer follows, for certain: other tokens are not chosen} */
    @Override
    public @Nullable String getOutputSchema() {
        return outputSchema;
    }

    /**
     * {@return requests of the same salt alone share what is computed of prompts that begin alike, as those without do}
     */
    public @Nullable String getCacheSalt() {
        return cacheSalt;
    }

    @Override
    public Builder mutate() {
        return new Builder()
                .model(getModel())
                .frequencyPenalty(getFrequencyPenalty())
                .maxTokens(getMaxTokens())
                .presencePenalty(getPresencePenalty())
                .stopSequences(getStopSequences())
                .temperature(getTemperature())
                .topK(getTopK())
                .topP(getTopP())
                .toolCallbacks(getToolCallbacks())
                .toolContext(getToolContext())
                .minP(minP)
                .repeatPenalty(repeatPenalty)
                .seed(seed)
                .outputSchema(outputSchema)
                .cacheSalt(cacheSalt);
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return super.equals(other)
                && other instanceof DemitasseChatOptions that
                && Objects.equals(minP, that.minP)
                && Objects.equals(repeatPenalty, that.repeatPenalty)
                && Objects.equals(seed, that.seed)
                && Objects.equals(outputSchema, that.outputSchema)
                && Objects.equals(cacheSalt, that.cacheSalt);
    }

    @Override
    public int hashCode() {
        return Objects.hash(super.hashCode(), minP, repeatPenalty, seed, outputSchema, cacheSalt);
    }

    /** Makes options. */
    public static final class Builder extends DefaultToolCallingChatOptions.Builder<Builder>
            implements StructuredOutputChatOptions.Builder<Builder> {
        private @Nullable Double minP;
        private @Nullable Double repeatPenalty;
        private @Nullable Long seed;
        private @Nullable String outputSchema;
        private @Nullable String cacheSalt;

        private Builder() {}

        /**
         * {@return this builder}
         *
         * @param value keeps tokens with at least that part of the probability of the most likely one; 0 for all
         */
        public Builder minP(@Nullable Double value) {
            minP = value;
            return this;
        }

        /**
         * {@return this builder}
         *
         * @param value divides the logits of tokens that were there lately; 1 for nothing
         */
        public Builder repeatPenalty(@Nullable Double value) {
            repeatPenalty = value;
            return this;
        }

        /**
         * {@return this builder}
         *
         * @param value seed of the draws
         */
        public Builder seed(@Nullable Long value) {
            seed = value;
            return this;
        }

        @Override
        public Builder outputSchema(@Nullable String schema) {
            outputSchema = schema;
            return this;
        }

        /**
         * {@return this builder}
         *
         * @param salt such as the name of a tenant ({@link dev.demitasse.Model#newSession(String)})
         */
        public Builder cacheSalt(@Nullable String salt) {
            cacheSalt = salt;
            return this;
        }

        @Override
        public Builder combineWith(ChatOptions.Builder<?> other) {
            super.combineWith(other);
            if (other instanceof Builder that) {
                minP = that.minP == null ? minP : that.minP;
                repeatPenalty = that.repeatPenalty == null ? repeatPenalty : that.repeatPenalty;
                seed = that.seed == null ? seed : that.seed;
                outputSchema = that.outputSchema == null ? outputSchema : that.outputSchema;
                cacheSalt = that.cacheSalt == null ? cacheSalt : that.cacheSalt;
            }
            return this;
        }

        @Override
        public DemitasseChatOptions build() {
            return new DemitasseChatOptions((DefaultToolCallingChatOptions) super.build(), this);
        }
    }
}
