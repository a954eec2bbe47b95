package dev.demitasse.cli;

import dev.demitasse.GenerationOptions;
import dev.demitasse.sampling.SamplingOptions;
import picocli.CommandLine.Option;

/** The options that say how tokens are chosen; the same in every command. */
final class SamplingSelection {
    @Option(
            names = "--temp",
            paramLabel = "T",
            description = "Temperature; 0 takes the most likely token (default: ${DEFAULT-VALUE}).")
    float temperature = SamplingOptions.DEFAULT.temperature();

    @Option(
            names = "--top-k",
            paramLabel = "K",
            description = "Keep the K most likely tokens; 0 for all (default: ${DEFAULT-VALUE}).")
    int topK = SamplingOptions.DEFAULT.topK();

    @Option(
            names = "--top-p",
            paramLabel = "P",
            description = "Keep the most likely tokens up to probability P (default: ${DEFAULT-VALUE}).")
    float topP = SamplingOptions.DEFAULT.topP();

    @Option(
            names = "--min-p",
            paramLabel = "P",
            description = "Keep tokens with P times the best probability (default: ${DEFAULT-VALUE}).")
    float minP = SamplingOptions.DEFAULT.minP();

    @Option(
            names = "--repeat-penalty",
            paramLabel = "R",
            description = "Penalty of repeated tokens; 1 for none (default: ${DEFAULT-VALUE}).")
    float repeatPenalty = SamplingOptions.DEFAULT.repeatPenalty();

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

    SamplingOptions options() {
        return new SamplingOptions(
                temperature, topK, topP, minP, repeatPenalty, frequencyPenalty, presencePenalty, 64, seed);
    }
}
