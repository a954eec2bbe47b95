package dev.demitasse;

import dev.demitasse.chat.Tool;
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
 * @param grammar that the answer is a text of, from its first token on: models that think do not, and none calls tools;
 *     null for any text
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
        @Nullable Grammar grammar) {
    /** As many drafts as pay, where that is known. */
    public static final int AUTO_DRAFTS = -1;

    /** Up to the end of the context, sampled with {@link SamplingOptions#DEFAULT}. */
    public static final GenerationOptions DEFAULT = new GenerationOptions(
            Integer.MAX_VALUE, SamplingOptions.DEFAULT, List.of(), 0, AUTO_DRAFTS, false, null, List.of(), null);
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

    /** The same with another number of tokens. */
    public GenerationOptions withMaximumTokens(int count) {
        return new GenerationOptions(count, sampling, stop, logprobs, drafts, ignoreEnd, deadline, tools, grammar);
    }

    /** The same with other sampling. */
    public GenerationOptions withSampling(SamplingOptions options) {
        return new GenerationOptions(
                maximumTokens, options, stop, logprobs, drafts, ignoreEnd, deadline, tools, grammar);
    }

    /** The same with other stop texts. */
    public GenerationOptions withStop(String... texts) {
        return new GenerationOptions(
                maximumTokens, sampling, List.of(texts), logprobs, drafts, ignoreEnd, deadline, tools, grammar);
    }

    /** The same with the most likely tokens reported. */
    public GenerationOptions withLogprobs(int count) {
        return new GenerationOptions(maximumTokens, sampling, stop, count, drafts, ignoreEnd, deadline, tools, grammar);
    }

    /** The same with so many tokens drafted a pass, at most; or {@link #AUTO_DRAFTS}. */
    public GenerationOptions withDrafts(int count) {
        return new GenerationOptions(
                maximumTokens, sampling, stop, logprobs, count, ignoreEnd, deadline, tools, grammar);
    }

    /** The same, going on past the end token or not. */
    public GenerationOptions withIgnoreEnd(boolean ignore) {
        return new GenerationOptions(maximumTokens, sampling, stop, logprobs, drafts, ignore, deadline, tools, grammar);
    }

    /** The same with an end that long after the call, or none; it comes after the token that is being computed. */
    public GenerationOptions withDeadline(@Nullable Duration afterCall) {
        return new GenerationOptions(
                maximumTokens, sampling, stop, logprobs, drafts, ignoreEnd, afterCall, tools, grammar);
    }

    /** The same with tools that an answer may call, or none. */
    public GenerationOptions withTools(List<Tool> callable) {
        return new GenerationOptions(
                maximumTokens, sampling, stop, logprobs, drafts, ignoreEnd, deadline, callable, grammar);
    }

    /** The same with a grammar that the answer is a text of; null for any text. */
    public GenerationOptions withGrammar(@Nullable Grammar ofAnswer) {
        return new GenerationOptions(
                maximumTokens, sampling, stop, logprobs, drafts, ignoreEnd, deadline, tools, ofAnswer);
    }
}
