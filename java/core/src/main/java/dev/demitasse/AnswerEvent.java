package dev.demitasse;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/** One answer, for Java Flight Recorder, from its call to its end. */
@Name("demitasse.Answer")
@Label("Answer")
@Description("An answer of a language model")
@Category("Demitasse")
@StackTrace(false)
final class AnswerEvent extends Event {
    @Label("Answer")
    @Description("Its number in this process")
    long answer;

    @Label("Architecture")
    String architecture = "";

    @Label("Backend")
    String backend = "";

    @Label("Prompt Tokens")
    int promptTokens;

    @Label("Cached Prompt Tokens")
    @Description("Of the prompt, that were not computed")
    int cachedTokens;

    @Label("Generated Tokens")
    int generatedTokens;

    @Label("Passes")
    @Description("Of the model, that the tokens came of: fewer where drafts were right")
    int passes;

    @Label("Milliseconds To First Token")
    double firstTokenMilliseconds;

    @Label("Tokens a Second")
    @Description("After the first")
    double tokensPerSecond;

    @Label("Finish Reason")
    @Description("FAILED where an exception ended it")
    String finishReason = "FAILED";

    /** It has ended: with an answer, or, where that is null, by an exception. */
    void complete(Model model, long number, int prompt, @Nullable Generation generated) {
        end();
        if (!shouldCommit()) {
            return;
        }
        answer = number;
        architecture = model.architecture();
        backend = model.backend();
        promptTokens = prompt;
        if (generated != null) {
            cachedTokens = generated.cachedTokens();
            generatedTokens = generated.tokens().size();
            passes = generated.passes();
            firstTokenMilliseconds = generated.promptTime().toNanos() * 1e-6;
            tokensPerSecond = generated.decodeTokensPerSecond();
            finishReason = generated.finishReason().name();
        }
        commit();
    }
}
