package dev.demitasse.model;

import dev.demitasse.device.Rope;
import dev.demitasse.device.Routing;

/**
 * What a model family fixes and its file does not say: one row of a table each. Everything else is metadata or follows
 * from which tensors are there (norms, biases, output matrix).
 */
public enum Architecture {
    /** Llama 1–3, Mistral, Mixtral, SmolLM and kin. */
    LLAMA("llama", new Traits(Rope.INTERLEAVED)),
    /** Ministral 3 and Mistral Small 3.2 and later. */
    MISTRAL3("mistral3", new Traits(Rope.INTERLEAVED)),
    /** Qwen 2 and 2.5. */
    QWEN2("qwen2", new Traits(Rope.NEOX)),
    /** Qwen 2 VL and 2.5 VL, text alone. */
    QWEN2VL("qwen2vl", new Traits(Rope.NEOX)),
    /** Qwen 1.5 and 2, mixtures of experts. */
    QWEN2MOE("qwen2moe", new Traits(Rope.NEOX).plainExperts()),
    /** Qwen 3. */
    QWEN3("qwen3", new Traits(Rope.NEOX)),
    /** Qwen 3 VL, text alone. */
    QWEN3VL("qwen3vl", new Traits(Rope.NEOX)),
    /** Qwen 3, mixtures of experts. */
    QWEN3MOE("qwen3moe", new Traits(Rope.NEOX)),
    /** Qwen 3 VL, mixtures of experts, text alone. */
    QWEN3VLMOE("qwen3vlmoe", new Traits(Rope.NEOX)),
    /** Qwen 3.5 and 3.6, dense. */
    QWEN35("qwen35", new Traits(Rope.NEOX).deltaNets(4)),
    /** Qwen 3.5 and 3.6, mixtures of experts. */
    QWEN35MOE("qwen35moe", new Traits(Rope.NEOX).deltaNets(4)),
    /** Qwen 3 Next and Coder Next. */
    QWEN3NEXT("qwen3next", new Traits(Rope.NEOX).deltaNets(4).groupedValueHeads()),
    /** LFM 2 and 2.5, dense. */
    LFM2("lfm2", new Traits(Rope.NEOX).shortConvolutions()),
    /** LFM 2 and 2.5, mixtures of experts. */
    LFM2MOE("lfm2moe", new Traits(Rope.NEOX).shortConvolutions().expertScore(Routing.Score.SIGMOID)),
    /** gpt-oss. */
    GPT_OSS("gpt-oss", new Traits(Rope.NEOX).windowed(2).clampedGate().expertScore(Routing.Score.SOFTMAX_OF_CHOSEN)),
    /** Gemma 2; its 27B model has 46 layers. */
    GEMMA2("gemma2", new Traits(Rope.NEOX).gelu().scaledEmbedding().windowed(2).hiddenScaled(46)),
    /** Gemma 3; its 27B model has 62 layers. */
    GEMMA3(
            "gemma3",
            new Traits(Rope.NEOX)
                    .gelu()
                    .scaledEmbedding()
                    .windowed(6)
                    .plainWindows(10_000)
                    .hiddenScaled(62)),
    /** Gemma 4: dense, with an input of each layer (E2B, E4B), and mixtures of experts. */
    GEMMA4(
            "gemma4",
            new Traits(Rope.NEOX)
                    .gelu()
                    .scaledEmbedding()
                    .plainWindows(10_000)
                    .windowRequired()
                    .unscaledAttention()
                    .normalizedValues()),
    /** Command R7B, Command A. */
    COHERE2(
            "cohere2",
            new Traits(Rope.INTERLEAVED)
                    .layerNorm()
                    .parallel()
                    .windowed(4)
                    .windowRequired()
                    .ropeInWindowsOnly()),
    /** Phi 3, 3.5 and 4. */
    PHI3("phi3", new Traits(Rope.NEOX).windowed(1)),
    /** Granite 3 and later, dense. */
    GRANITE("granite", new Traits(Rope.INTERLEAVED).dividedLogits().ropeSwitch()),
    /** Granite 3 and later, mixtures of experts. */
    GRANITEMOE("granitemoe", new Traits(Rope.INTERLEAVED).dividedLogits().ropeSwitch()),
    /** Granite 4, with selective state spaces; dense and mixtures of experts. */
    GRANITEHYBRID(
            "granitehybrid",
            new Traits(Rope.INTERLEAVED).dividedLogits().ropeSwitch().mamba()),
    /** Nemotron-H and Nemotron Nano 2. */
    NEMOTRON_H("nemotron_h", new Traits(Rope.NEOX).noRope().mamba().oneBranch().squaredRelu()),
    /** Nemotron 3, mixtures of experts. */
    NEMOTRON_H_MOE(
            "nemotron_h_moe",
            new Traits(Rope.NEOX).noRope().mamba().oneBranch().squaredRelu().expertScore(Routing.Score.SIGMOID)),
    /** OLMoE. */
    OLMOE("olmoe", new Traits(Rope.NEOX).plainExperts()),
    /** OLMo 2 and 3. */
    OLMO2("olmo2", new Traits(Rope.NEOX).windowed(4).plainWindows(0).postNormsOnly()),
    /** SmolLM 3. */
    SMOLLM3("smollm3", new Traits(Rope.INTERLEAVED).noRopeEvery(4)),
    /** GLM 4, dense. */
    GLM4("glm4", new Traits(Rope.INTERLEAVED).noRopeSections()),
    /** GLM 4.5 and later, mixtures of experts. */
    GLM4MOE("glm4moe", new Traits(Rope.NEOX).plainExperts().expertScore(Routing.Score.SIGMOID)),
    /** ERNIE 4.5, mixtures of experts. */
    ERNIE4_5_MOE("ernie4_5-moe", new Traits(Rope.INTERLEAVED)),
    /**
     * DeepSeek 2, 3 and R1, GLM 4.7 Flash (154,880 tokens), Kimi K2: mixtures of experts with latent attention.
     */
    DEEPSEEK2("deepseek2", new Traits(Rope.INTERLEAVED).latent().plainExperts().sigmoidVocabulary(154_880)),
    /** Llama 4, text alone; its model of 128 experts has no norms of heads. */
    LLAMA4(
            "llama4",
            new Traits(Rope.INTERLEAVED)
                    .windowed(4)
                    .chunks(8192, 0.1f)
                    .ropeInWindowsOnly()
                    .normalizedHeads(128)
                    .plainExperts()
                    .expertScore(Routing.Score.SIGMOID)
                    .weighedInputs()),
    /** Seed-OSS. */
    SEED_OSS("seed_oss", new Traits(Rope.NEOX)),
    /** BERT and kin: MiniLM, BGE, E5, GTE, Snowflake Arctic; XLM-RoBERTa. Encoders. */
    BERT("bert", new Traits(Rope.NEOX).encoder().layerNorm().ungatedGelu().noRope()),
    /** Nomic Embed 1. */
    NOMIC_BERT("nomic-bert", new Traits(Rope.NEOX).encoder().layerNorm()),
    /** Nomic Embed 2, mixtures of experts. */
    NOMIC_BERT_MOE(
            "nomic-bert-moe",
            new Traits(Rope.NEOX).encoder().layerNorm().ungatedGelu().plainExperts()),
    /** ModernBERT and kin. */
    MODERN_BERT(
            "modern-bert",
            new Traits(Rope.NEOX).encoder().layerNorm().gelu().windowed(3).fullLayersFirst()),
    /** EmbeddingGemma. */
    GEMMA_EMBEDDING(
            "gemma-embedding",
            new Traits(Rope.NEOX).encoder().gelu().scaledEmbedding().windowed(6).plainWindows(10_000)),
    /** EXAONE 4; its 32B model has windows, and no RoPE in the layers between. */
    EXAONE4("exaone4", new Traits(Rope.NEOX).windowed(4).ropeInWindowsOnly().postNormsOnly());

    private final String key;
    private final Traits traits;

    Architecture(String key, Traits traits) {
        this.key = key;
        this.traits = traits;
    }

    /**
     * The architecture that a file names in {@code general.architecture}.
     *
     * @throws dev.demitasse.exception.UnsupportedModelException where there is none of that name
     */
    public static Architecture of(String name) {
        for (Architecture architecture : values()) {
            if (architecture.key.equals(name)) {
                return architecture;
            }
        }
        throw UnsupportedArchitectures.refusal(name);
    }

    /** Its name in files, and the prefix of its metadata keys. */
    public String key() {
        return key;
    }

    Traits traits() {
        return traits;
    }
}
