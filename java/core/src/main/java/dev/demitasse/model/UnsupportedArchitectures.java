package dev.demitasse.model;

import dev.demitasse.exception.UnsupportedModelException;
import java.util.Arrays;
import java.util.Map;

/** What well-known architectures need that the forward pass has not, so that a refusal can say so. */
final class UnsupportedArchitectures {
    /** What is missing, and the nearest family that works. */
    private record Needs(String what, Architecture nearest) {}

    private static final Map<String, Needs> NEEDS = Map.ofEntries(
            Map.entry(
                    "falcon-h1", new Needs("attention and state spaces beside each other", Architecture.GRANITEHYBRID)),
            Map.entry("mamba2", new Needs("layers without any attention", Architecture.GRANITEHYBRID)),
            Map.entry("glm-dsa", new Needs("an index of the positions that attention sees", Architecture.DEEPSEEK2)),
            Map.entry("gemma3n", new Needs("several residual streams (AltUp)", Architecture.GEMMA4)),
            Map.entry("jina-bert-v2", new Needs("attention biases by distance (ALiBi)", Architecture.NOMIC_BERT)),
            Map.entry("t5encoder", new Needs("relative attention biases", Architecture.BERT)));

    private UnsupportedArchitectures() {}

    /** The refusal of a file of the architecture {@code name}. */
    static UnsupportedModelException refusal(String name) {
        Needs needs = NEEDS.get(name);
        String why = needs == null
                ? "."
                : ": it needs " + needs.what + ". The nearest that is: " + needs.nearest.key() + ".";
        return new UnsupportedModelException("The architecture \"" + name + "\" is not supported" + why
                + " Supported are: "
                + String.join(
                        ", ",
                        Arrays.stream(Architecture.values())
                                .map(Architecture::key)
                                .toList())
                + ".");
    }
}
