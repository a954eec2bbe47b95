package dev.demitasse;

import dev.demitasse.chat.ToolCall;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.Logprobs;
import java.time.Duration;
import java.util.List;

/**
 * What was generated.
 *
 * @param promptTokens ids of the prompt
 * @param tokens ids that were generated, the end token included if one came
 * @param text their text, without control tokens and stop texts; of a chat without thinking and calls of tools
 * @param thinking what the model thought before it answered a chat; empty where it did not
 * @param toolCalls calls of tools that the answer of a chat asks for: answer them by {@link
 *     dev.demitasse.chat.Message#tool}
 * @param finishReason why it ended
 * @param topLogprobs the most likely tokens of each step, where asked for
 * @param cachedTokens of the prompt, that were not computed: the session, or another that began alike, had them cached
 * @param passes of the model that the tokens came of; fewer than tokens where drafts were right
 * @param promptTime from the call to the first token
 * @param decodeTime from the first token to the last
 */
public record Generation(
        List<Integer> promptTokens,
        List<Integer> tokens,
        String text,
        String thinking,
        List<ToolCall> toolCalls,
        FinishReason finishReason,
        List<List<Logprobs.Entry>> topLogprobs,
        int cachedTokens,
        int passes,
        Duration promptTime,
        Duration decodeTime) {
    /** {@return tokens a second after the first one; 0 where there was no second one} */
    public double decodeTokensPerSecond() {
        return decodeTime.isZero() || tokens.size() < 2 ? 0 : (tokens.size() - 1) / (decodeTime.toNanos() * 1e-9);
    }

    /** {@return tokens that a pass of the model gave; above 1 where drafts were right} */
    public double tokensPerPass() {
        return passes == 0 ? 0 : (double) tokens.size() / passes;
    }

    /** {@return tokens of the prompt that were computed a second, the first generated token included} */
    public double promptTokensPerSecond() {
        int computed = promptTokens.size() - cachedTokens;
        return promptTime.isZero() ? 0 : computed / (promptTime.toNanos() * 1e-9);
    }
}
