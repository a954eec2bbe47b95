package dev.demitasse.cli;

import dev.demitasse.GenerationOptions;
import dev.demitasse.sampling.SamplingOptions;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that say how tokens are chosen; the same in every command. */
final class SamplingSelection {
    @Option(
            names = "--temp",
            paramLabel = "T",
            description = "Temperature; 0 takes the most likely token (default: the model's, or 0.7).")
    @Nullable
    Float temperature;

    @Option(
            names = "--top-k",
            paramLabel = "K",
            description = "Keep the K most likely tokens; 0 for all (default: the model's, or 40).")
    @Nullable
    Integer topK;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "Keep the most likely tokens up to probability P (default: the model's, or 0.95).")
    @Nullable
    Float topP;

    @Option(
            names = "--min-p",
            paramLabel = "P",
            description = "Keep tokens with P times the best probability (default: the model's, or 0.05).")
    @Nullable
    Float minP;

    @Option(
            names = "--repeat-penalty",
            paramLabel = "R",
            description = "Penalty of repeated tokens; 1 for none (default: the model's, or 1).")
    @Nullable
    Float repeatPenalty;

    @Option(
            names = "--frequency-penalty",
            paramLabel = "F",
            description = "Penalty for each repetition (default: ${DEFAULT-VALUE}).")
    float frequencyPenalty;

    @Option(
            names = "--presence-penalty",
            paramLabel = "F",
            description = "Penalty for being there (default: ${DEFAULT-VALUE}).")
    float presencePenalty;

    @Option(names = "--seed", paramLabel = "N", description = "Seed of the draws (default: another one each time).")
    long seed = System.nanoTime();

    @Option(
            names = "--drafts",
            paramLabel = "N",
            description = "Tokens to draft a pass at most, from what was said before or by the model's own draft block;"
                    + " the answer is the same, and comes sooner where they are right (default: 8 on a processor, 0 on"
                    + " a GPU).")
    int drafts = GenerationOptions.AUTO_DRAFTS;

    /** What was asked for, and else what the model's file says. */
    SamplingOptions options(SamplingOptions model) {
        return new SamplingOptions(
                or(temperature, model.temperature()),
                or(topK, model.topK()),
                or(topP, model.topP()),
                or(minP, model.minP()),
                or(repeatPenalty, model.repeatPenalty()),
                frequencyPenalty,
                presencePenalty,
                model.penaltyWindow(),
                seed);
    }

    private static <T> T or(@Nullable T asked, T otherwise) {
        return asked == null ? otherwise : asked;
    }
}
