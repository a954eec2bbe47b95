package dev.demitasse;

import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolChoice;
import dev.demitasse.sampling.SamplingOptions;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Makes {@link GenerationOptions} of what is not as usual. */
public final class GenerationOptionsBuilder {
    private int maximumTokens = GenerationOptions.DEFAULT_MAXIMUM_TOKENS;
    private SamplingOptions sampling = SamplingOptions.DEFAULT;
    private List<String> stop = List.of();
    private int logprobs;
    private int drafts = GenerationOptions.AUTO_DRAFTS;
    private boolean ignoreEnd;
    private @Nullable Duration deadline;
    private List<Tool> tools = List.of();
    private ToolChoice toolChoice = ToolChoice.AUTO;
    private @Nullable Grammar grammar;
    private ContextPolicy contextPolicy = ContextPolicy.FAIL;

    GenerationOptionsBuilder() {}

    GenerationOptionsBuilder(GenerationOptions options) {
        maximumTokens = options.maximumTokens();
        sampling = options.sampling();
        stop = options.stop();
        logprobs = options.logprobs();
        drafts = options.drafts();
        ignoreEnd = options.ignoreEnd();
        deadline = options.deadline();
        tools = options.tools();
        toolChoice = options.toolChoice();
        grammar = options.grammar();
        contextPolicy = options.contextPolicy();
    }

    /**
     * {@return this builder, with maximumTokens}
     *
     * @param value how many tokens at most
     */
    public GenerationOptionsBuilder maximumTokens(int value) {
        maximumTokens = value;
        return this;
    }

    /**
     * {@return this builder, with sampling}
     *
     * @param value how tokens are chosen
     */
    public GenerationOptionsBuilder sampling(SamplingOptions value) {
        sampling = value;
        return this;
    }

    /**
     * {@return this builder, with stop}
     *
     * @param value texts that end the generation, none of them empty
     */
    public GenerationOptionsBuilder stop(List<String> value) {
        stop = value;
        return this;
    }

    /**
     * {@return this builder, with logprobs}
     *
     * @param value how many most likely tokens to report for each step; 0 for none
     */
    public GenerationOptionsBuilder logprobs(int value) {
        logprobs = value;
        return this;
    }

    /**
     * {@return this builder, with drafts}
     *
     * @param value how many tokens to draft a pass at most, or {@link GenerationOptions#AUTO_DRAFTS}
     */
    public GenerationOptionsBuilder drafts(int value) {
        drafts = value;
        return this;
    }

    /**
     * {@return this builder, with ignoreEnd}
     *
     * @param value whether to go on past the model's end token
     */
    public GenerationOptionsBuilder ignoreEnd(boolean value) {
        ignoreEnd = value;
        return this;
    }

    /**
     * {@return this builder, with deadline}
     *
     * @param value how long after its call an answer ends; null for no limit
     */
    public GenerationOptionsBuilder deadline(@Nullable Duration value) {
        deadline = value;
        return this;
    }

    /**
     * {@return this builder, with tools}
     *
     * @param value tools that an answer of a chat may call
     */
    public GenerationOptionsBuilder tools(List<Tool> value) {
        tools = value;
        return this;
    }

    /**
     * {@return this builder, with toolChoice}
     *
     * @param value whether an answer has to call one of the tools
     */
    public GenerationOptionsBuilder toolChoice(ToolChoice value) {
        toolChoice = value;
        return this;
    }

    /**
     * {@return this builder, with grammar}
     *
     * @param value that the answer is a text of; null for any text
     */
    public GenerationOptionsBuilder grammar(@Nullable Grammar value) {
        grammar = value;
        return this;
    }

    /**
     * {@return this builder, with contextPolicy}
     *
     * @param value what happens where the context has no more room
     */
    public GenerationOptionsBuilder contextPolicy(ContextPolicy value) {
        contextPolicy = value;
        return this;
    }

    /**
     * {@return the options}
     *
     * @throws dev.demitasse.exception.UsageException where one of them makes no sense, or two contradict each other
     */
    public GenerationOptions build() {
        return new GenerationOptions(
                maximumTokens,
                sampling,
                stop,
                logprobs,
                drafts,
                ignoreEnd,
                deadline,
                tools,
                toolChoice,
                grammar,
                contextPolicy);
    }
}
