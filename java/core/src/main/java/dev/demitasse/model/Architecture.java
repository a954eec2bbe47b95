package dev.demitasse.model;

import dev.demitasse.device.Gate;
import dev.demitasse.device.Rope;
import dev.demitasse.exception.UnsupportedModelException;
import java.util.Arrays;
import java.util.Locale;

/**
 * What a model family fixes and its file does not say: one row of a table each. Everything else is metadata or follows
 * from which tensors are there (QK norms, biases, output matrix, post-norms).
 */
public enum Architecture {
    /** Llama 1–3, Mistral, SmolLM and kin. */
    LLAMA(Rope.INTERLEAVED, Gate.SILU, false, 0, 0, 0),
    /** Qwen 2 and 2.5. */
    QWEN2(Rope.NEOX, Gate.SILU, false, 0, 0, 0),
    /** Qwen 3. */
    QWEN3(Rope.NEOX, Gate.SILU, false, 0, 0, 0),
    /** Gemma 2; its 27B model has 46 layers. */
    GEMMA2(Rope.NEOX, Gate.GELU, true, 2, 0, 46),
    /** Gemma 3; its 27B model has 62 layers. */
    GEMMA3(Rope.NEOX, Gate.GELU, true, 6, 10_000, 62),
    /** Phi 3, 3.5 and 4. */
    PHI3(Rope.NEOX, Gate.SILU, false, 1, 0, 0);

    private final Rope rope;
    private final Gate gate;
    private final boolean scaledEmbedding;
    private final int windowPeriod;
    private final float windowRopeBase;
    private final int hiddenScaledLayers;

    /**
     * A row of the table.
     *
     * @param scaledEmbedding whether embeddings are multiplied by sqrt(hidden)
     * @param windowPeriod n where the first n - 1 of each n layers see a window only (1: every layer), 0 where none
     *     does
     * @param windowRopeBase RoPE base of layers with a window, which then ignore RoPE scaling; 0 for the model's
     * @param hiddenScaledLayers number of layers of the one model that scales queries by hidden / heads, not headDim
     */
    Architecture(
            Rope rope,
            Gate gate,
            boolean scaledEmbedding,
            int windowPeriod,
            float windowRopeBase,
            int hiddenScaledLayers) {
        this.rope = rope;
        this.gate = gate;
        this.scaledEmbedding = scaledEmbedding;
        this.windowPeriod = windowPeriod;
        this.windowRopeBase = windowRopeBase;
        this.hiddenScaledLayers = hiddenScaledLayers;
    }

    /** The architecture that a file names in {@code general.architecture}. */
    public static Architecture of(String name) {
        for (Architecture architecture : values()) {
            if (architecture.key().equals(name)) {
                return architecture;
            }
        }
        throw new UnsupportedModelException("The architecture \"" + name + "\" is not supported; these are: "
                + Arrays.stream(values()).map(Architecture::key).toList() + ".");
    }

    /** Its name in files, and the prefix of its metadata keys. */
    public String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    Rope rope() {
        return rope;
    }

    Gate gate() {
        return gate;
    }

    boolean scaledEmbedding() {
        return scaledEmbedding;
    }

    boolean windowed(int layer) {
        return windowPeriod == 1 || windowPeriod > 1 && layer % windowPeriod < windowPeriod - 1;
    }

    float windowRopeBase() {
        return windowRopeBase;
    }

    int hiddenScaledLayers() {
        return hiddenScaledLayers;
    }
}
