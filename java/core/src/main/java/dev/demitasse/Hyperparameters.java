package dev.demitasse;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.RopeFrequencies;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.tokenizer.Vocabulary;
import org.jspecify.annotations.Nullable;

/** Reads what a model's file says of its shape. */
final class Hyperparameters {
    /** Positions where nobody says how many. */
    static final int DEFAULT_CONTEXT = 4096;

    private Hyperparameters() {}

    /** The hyperparameters of a file for a context of so many positions, 0 for the default. */
    static ModelConfig read(Gguf file, int contextLength) {
        return read(file, contextLength, true);
    }

    /** The same; {@code keeps} as {@link ModelConfig#read} has it. */
    static ModelConfig read(Gguf file, int contextLength, boolean keeps) {
        RopeFrequencies.Factors factors = new RopeFrequencies.Factors(
                factors(file, "rope_freqs.weight"),
                factors(file, "rope_factors_long.weight"),
                factors(file, "rope_factors_short.weight"));
        int context = contextLength == 0 ? DEFAULT_CONTEXT : contextLength;
        return ModelConfig.read(file.metadata(), Vocabulary.count(file.metadata()), factors, context, keeps);
    }

    private static float @Nullable [] factors(Gguf file, String name) {
        GgufTensor tensor = file.tensor(name);
        if (tensor == null) {
            return null;
        }
        if (tensor.rows() != 1 || tensor.columns() > 4096) {
            throw new ModelFormatException("Tensor \"" + name + "\" is no vector of RoPE factors.");
        }
        float[] values = new float[(int) tensor.columns()];
        new MatrixSource(name, tensor.type(), 1, values.length, tensor.data()).dequantizeRow(0, values);
        for (float value : values) {
            if (!(value > 0) || !Float.isFinite(value)) {
                throw new ModelFormatException("Tensor \"" + name + "\" has a factor of " + value + ".");
            }
        }
        return values;
    }
}
