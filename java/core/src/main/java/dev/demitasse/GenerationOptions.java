package dev.demitasse;

import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolChoice;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.SamplingOptions;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What to generate.
 *
 * @param maximumTokens how many tokens at most
 * @param sampling how tokens are chosen
 * @param stop texts that end the generation; they are not part of the result
 * @param logprobs how many most likely tokens to report for each step, at most the vocabulary; 0 for none
 * @param drafts how many tokens to draft a pass at most, by what followed the last tokens where they stood before
 *     (prompt lookup), else by the model's own draft block, if it has one: as many as were right come of one pass of
 *     the model, and no answer is another for it. On GPUs there are at most 6, and unless the device is opened
 *     {@link dev.demitasse.device.DeviceOptions#batchInvariant}, results may differ in the last bits. 0 for none;
 *     {@link #AUTO_DRAFTS} for 8 on CPU devices and none on others
 * @param ignoreEnd whether to go on past the model's end token
 * @param deadline how long after its call an answer ends, wherever it is; null for no limit
 * @param tools that an answer of a chat may call ({@link Generation#toolCalls}); texts that are continued know none
 * @param toolChoice whether it has to call one; of no matter without tools
 * @param grammar that the answer is a text of, from its first token on: models that think do not, and none calls tools;
 *     null for any text
 * @param contextPolicy what happens where the context has no more room
 */
public record GenerationOptions(
        int maximumTokens,
        SamplingOptions sampling,
        List<String> stop,
        int logprobs,
        int drafts,
        boolean ignoreEnd,
        @Nullable Duration deadline,
        List<Tool> tools,
        ToolChoice toolChoice,
        @Nullable Grammar grammar,
        ContextPolicy contextPolicy) {
    /** As many drafts as pay, where that is known. */
    public static final int AUTO_DRAFTS = -1;

    /** Tokens of an answer at most, where nobody says how many: a model that finds no end comes to this one. */
    public static final int DEFAULT_MAXIMUM_TOKENS = 2048;

    /** {@link #DEFAULT_MAXIMUM_TOKENS} tokens at most, sampled with {@link SamplingOptions#DEFAULT}. */
    public static final GenerationOptions DEFAULT = builder().build();
    /** The same, always the most likely token. */
    public static final GenerationOptions GREEDY = DEFAULT.withSampling(SamplingOptions.GREEDY);

    /** Checks the values. */
    public GenerationOptions {
        if (maximumTokens < 0 || logprobs < 0 || drafts < AUTO_DRAFTS) {
            throw new UsageException("A number of tokens cannot be negative.");
        }
        if (deadline != null && deadline.isNegative()) {
            throw new UsageException("A deadline cannot be before the call: " + deadline + ".");
        }
        Objects.requireNonNull(sampling, "sampling");
        Objects.requireNonNull(toolChoice, "toolChoice");
        Objects.requireNonNull(contextPolicy, "contextPolicy");
        if (stop.stream().anyMatch(String::isEmpty)) {
            throw new UsageException("A stop text cannot be empty.");
        }
        if (grammar != null && !tools.isEmpty()) {
            throw new UsageException("An answer is either of a grammar, or may call tools; ask twice.");
        }
        stop = List.copyOf(stop);
        tools = List.copyOf(tools);
        Set<String> names = new HashSet<>();
        for (Tool tool : tools) {
            if (!names.add(tool.name())) {
                throw new UsageException("Two tools are called \"" + tool.name() + "\".");
            }
        }
    }

    /** {@return a builder that begins with the defaults} */
    public static GenerationOptionsBuilder builder() {
        return new GenerationOptionsBuilder();
    }

    /** {@return a builder that begins with these options} */
    public GenerationOptionsBuilder toBuilder() {
        return new GenerationOptionsBuilder(this);
    }

    /**
     * {@return the same with another number of tokens}
     *
     * @param count how many at most
     */
    public GenerationOptions withMaximumTokens(int count) {
        return toBuilder().maximumTokens(count).build();
    }

    /**
     * {@return the same with other sampling}
     *
     * @param options how tokens are chosen
     */
    public GenerationOptions withSampling(SamplingOptions options) {
        return toBuilder().sampling(options).build();
    }

    /**
     * {@return the same with other stop texts}
     *
     * @param texts none of them empty
     */
    public GenerationOptions withStop(String... texts) {
        return toBuilder().stop(List.of(texts)).build();
    }

    /**
     * {@return the same with the most likely tokens reported}
     *
     * @param count of each step so many; 0 for none
     */
    public GenerationOptions withLogprobs(int count) {
        return toBuilder().logprobs(count).build();
    }

    /**
     * {@return the same with so many tokens drafted a pass, at most}
     *
     * @param count or {@link #AUTO_DRAFTS}
     */
    public GenerationOptions withDrafts(int count) {
        return toBuilder().drafts(count).build();
    }

    /**
     * {@return the same with an end where the model ends, or beyond}
     *
     * @param ignore whether to go on past the end token
     */
    public GenerationOptions withIgnoreEnd(boolean ignore) {
        return toBuilder().ignoreEnd(ignore).build();
    }

    /**
     * {@return the same with an end that long after the call; it comes after the token that is being computed}
     *
     * @param afterCall null for none
     */
    public GenerationOptions withDeadline(@Nullable Duration afterCall) {
        return toBuilder().deadline(afterCall).build();
    }

    /**
     * {@return the same with tools that an answer may call}
     *
     * @param callable the tools; none where empty
     */
    public GenerationOptions withTools(List<Tool> callable) {
        return toBuilder().tools(callable).build();
    }

    /**
     * {@return the same where an answer has to call a tool, or need not}
     *
     * @param choice counts where there are tools
     */
    public GenerationOptions withToolChoice(ToolChoice choice) {
        return toBuilder().toolChoice(choice).build();
    }

    /** {@return whether an answer of a chat is a call of a tool} */
    boolean requiresCall() {
        return toolChoice == ToolChoice.REQUIRED && !tools.isEmpty();
    }

    /**
     * {@return the same with a grammar that the answer is a text of}
     *
     * @param ofAnswer null for any text
     */
    public GenerationOptions withGrammar(@Nullable Grammar ofAnswer) {
        return toBuilder().grammar(ofAnswer).build();
    }

    /**
     * {@return the same with another answer to a full context}
     *
     * @param policy what happens where the context has no more room
     */
    public GenerationOptions withContextPolicy(ContextPolicy policy) {
        return toBuilder().contextPolicy(policy).build();
    }
}
