package dev.demitasse.model;

import dev.demitasse.exception.UnsupportedModelException;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;

/** What well-known architectures need that the forward pass has not, so that a refusal can say so. */
final class UnsupportedArchitectures {
    /** What is missing, and the nearest family that works. */
    private record Needs(String what, Architecture nearest) {}

    private static final Map<String, Needs> NEEDS = Map.ofEntries(
            Map.entry("apertus", new Needs("an activation of its own (xIELU)", Architecture.LLAMA)),
            Map.entry(
                    "arcee",
                    new Needs(
                            "feed-forwards without a gate (squared ReLU) beside attention in each block",
                            Architecture.NEMOTRON_H)),
            Map.entry("arctic", new Needs("a dense layer beside the experts of each block", Architecture.QWEN2MOE)),
            Map.entry("bloom", new Needs("attention biases by distance (ALiBi)", Architecture.QWEN2)),
            Map.entry(
                    "chatglm",
                    new Needs(
                            "projections in one matrix with biases, and a rotation of half of each head",
                            Architecture.GLM4)),
            Map.entry(
                    "command-r",
                    new Needs(
                            "the first Command R's parallel blocks, with norms of queries and keys",
                            Architecture.COHERE2)),
            Map.entry(
                    "dbrx",
                    new Needs(
                            "norms without means' biases, and clamped queries, keys and values",
                            Architecture.QWEN2MOE)),
            Map.entry(
                    "falcon",
                    new Needs(
                            "norms with biases and feed-forwards without a gate in a generator", Architecture.COHERE2)),
            Map.entry(
                    "falcon-h1", new Needs("attention and state spaces beside each other", Architecture.GRANITEHYBRID)),
            Map.entry(
                    "gemma", new Needs("layers without norms behind attention and feed-forward", Architecture.GEMMA2)),
            Map.entry("gemma3n", new Needs("several residual streams (AltUp)", Architecture.GEMMA4)),
            Map.entry("glm-dsa", new Needs("an index of the positions that attention sees", Architecture.DEEPSEEK2)),
            Map.entry("gpt2", new Needs("an embedding of positions in a generator", Architecture.QWEN2)),
            Map.entry(
                    "gptneox",
                    new Needs(
                            "norms with biases and feed-forwards without a gate in a generator", Architecture.COHERE2)),
            Map.entry("grok", new Needs("soft caps of routers, and norms behind experts", Architecture.GEMMA2)),
            Map.entry(
                    "hunyuan-dense", new Needs("norms of queries and keys behind their rotation", Architecture.QWEN3)),
            Map.entry(
                    "hunyuan-moe", new Needs("norms of queries and keys behind their rotation", Architecture.QWEN3MOE)),
            Map.entry("jamba", new Needs("state spaces of Mamba 1", Architecture.GRANITEHYBRID)),
            Map.entry("jina-bert-v2", new Needs("attention biases by distance (ALiBi)", Architecture.NOMIC_BERT)),
            Map.entry("jina-bert-v3", new Needs("adapters by task", Architecture.NOMIC_BERT)),
            Map.entry("kimi-linear", new Needs("delta nets that forget by channel (KDA)", Architecture.QWEN3NEXT)),
            Map.entry(
                    "mamba",
                    new Needs("state spaces of Mamba 1, and layers without any attention", Architecture.GRANITEHYBRID)),
            Map.entry("mamba2", new Needs("layers without any attention", Architecture.GRANITEHYBRID)),
            Map.entry("mimo2", new Needs("keys and values of different lengths beside sinks", Architecture.GPT_OSS)),
            Map.entry("minicpm", new Needs("scales of residuals that its files do not name", Architecture.GRANITE)),
            Map.entry(
                    "minicpm3",
                    new Needs("latent attention that is not absorbed, and its scales", Architecture.DEEPSEEK2)),
            Map.entry(
                    "minimax-m2",
                    new Needs(
                            "norms over all heads of queries and keys beside experts with biases",
                            Architecture.GLM4MOE)),
            Map.entry("mpt", new Needs("attention biases by distance (ALiBi)", Architecture.QWEN2)),
            Map.entry("nemotron", new Needs("norms with biases around 1 in a generator", Architecture.NEMOTRON_H)),
            Map.entry("olmo", new Needs("norms without weights", Architecture.OLMO2)),
            Map.entry(
                    "phi2",
                    new Needs(
                            "norms with biases and feed-forwards without a gate in a generator", Architecture.COHERE2)),
            Map.entry(
                    "phimoe", new Needs("norms with biases, and a router that masks (SparseMixer)", Architecture.PHI3)),
            Map.entry("rwkv6", new Needs("layers without any attention", Architecture.QWEN3NEXT)),
            Map.entry("rwkv7", new Needs("layers without any attention", Architecture.QWEN3NEXT)),
            Map.entry("stablelm", new Needs("norms with biases in a generator", Architecture.COHERE2)),
            Map.entry(
                    "starcoder2",
                    new Needs("norms with biases and feed-forwards without a gate in a generator", Architecture.QWEN2)),
            Map.entry(
                    "step35",
                    new Needs(
                            "gates of attention by head, rotations that differ by layer, and clamped experts",
                            Architecture.QWEN3MOE)),
            Map.entry(
                    "t5",
                    new Needs("attention across to an encoder, and relative attention biases", Architecture.BERT)),
            Map.entry("t5encoder", new Needs("relative attention biases", Architecture.BERT)));

    /** The architecture of files beside models, which turn pictures and sounds into embeddings. */
    private static final String PROJECTOR = "clip";

    private UnsupportedArchitectures() {}

    /** The architectures of which it is known what they need. */
    static Set<String> known() {
        return NEEDS.keySet();
    }

    /** The refusal of a file of the architecture {@code name}. */
    static UnsupportedModelException refusal(String name) {
        if (name.equals(PROJECTOR)) {
            return new UnsupportedModelException("This is the part of a model that sees or hears (mmproj), and that is"
                    + " not run: load the file of the language model that it belongs to, which reads text.");
        }
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
