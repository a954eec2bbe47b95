package dev.demitasse.quantize.source;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.quantize.source.Rows.Numbers;
import dev.demitasse.safetensors.Safetensors;
import dev.demitasse.safetensors.SafetensorsTensor;
import org.jspecify.annotations.Nullable;

/**
 * Matrices of quantized checkpoints, decoded: integers minus a zero, times a scale.
 *
 * <p>AWQ (Lin et al., "AWQ: Activation-aware Weight Quantization", 2023) as AutoAWQ's {@code gemm} kernels store it,
 * GPTQ (Frantar et al., 2022) as AutoGPTQ and GPTQModel do, and compressed-tensors' {@code pack-quantized},
 * {@code int-quantized}, {@code float-quantized} and {@code naive-quantized}.
 */
final class QuantizedRows {
    /** Which output each nibble of one of AWQ's words is. */
    private static final int[] AWQ_ORDER = {0, 2, 4, 6, 1, 3, 5, 7};

    private static final int WORD_BITS = 32;

    private final Safetensors file;
    private final Json config;
    private final String method;
    private final int bits;

    /**
     * A checkpoint's way.
     *
     * @param config {@code quantization_config}; empty for none
     */
    QuantizedRows(Safetensors file, Json config) {
        this.file = file;
        this.config = config;
        this.method = config.string("quant_method", "none");
        this.bits = config.integer("bits", config.integer("w_bit", 4));
        switch (method) {
            case "none", "compressed-tensors" -> {}
            case "awq", "gptq" -> {
                if (bits != 4 && bits != 8 || method.equals("awq") && bits != 4) {
                    throw new UnsupportedModelException(config.source() + ": \"bits\" is " + bits + "; " + method
                            + " is read with 4 bits, GPTQ with 8 too.");
                }
                String version = config.string("version", "gemm");
                if (method.equals("awq") && !version.equalsIgnoreCase("gemm")) {
                    throw new UnsupportedModelException(config.source() + ": \"version\" is " + version
                            + "; AWQ is read as its gemm kernels store it.");
                }
            }
            default ->
                throw new UnsupportedModelException(config.source() + ": the checkpoint is quantized by \"" + method
                        + "\"; awq, gptq and compressed-tensors are read.");
        }
    }

    /** The tensor that a quantized matrix {@code name} is found by, or null where that is no such matrix. */
    @Nullable
    Rows read(String name) {
        return switch (method) {
            case "awq" -> has(name, "qweight") ? awq(name) : null;
            case "gptq" -> has(name, "qweight") ? gptq(name) : null;
            case "compressed-tensors" ->
                has(name, "weight_packed") ? packed(name) : has(name, "weight_scale") ? scaled(name) : null;
            default -> null;
        };
    }

    /** The name of the matrix whose part a tensor is, without {@code .weight}; null where it is none. */
    static @Nullable String matrix(String tensor) {
        for (String part : new String[] {
            ".qweight",
            ".qzeros",
            ".scales",
            ".g_idx",
            ".weight_packed",
            ".weight_scale",
            ".weight_shape",
            ".weight_zero_point",
            ".weight_g_idx",
            ".input_scale",
            ".input_zero_point"
        }) {
            if (tensor.endsWith(part)) {
                return tensor.substring(0, tensor.length() - part.length());
            }
        }
        return null;
    }

    private boolean has(String name, String part) {
        return file.tensor(name + "." + part) != null;
    }

    private Numbers part(String name, String part) {
        SafetensorsTensor tensor = file.tensor(name + "." + part);
        if (tensor == null) {
            throw new ModelFormatException(
                    "Tensor \"" + name + "." + part + "\" is missing; the checkpoint is not complete.");
        }
        return Numbers.of(tensor);
    }

    /** Integers of inputs × outputs / 8, with zeros and scales of groups of inputs. */
    private Rows awq(String name) {
        Numbers words = part(name, "qweight").requireWords();
        Numbers scales = part(name, "scales");
        int inputs = Math.toIntExact(words.count());
        int perWord = WORD_BITS / bits;
        long outputs = (long) words.columns() * perWord;
        long groups = scales.count();
        scales.require(groups, outputs);
        Numbers zeros = part(name, "qzeros").requireWords().require(groups, words.columns());
        int group = group(name, inputs, groups);
        int[] places = new int[perWord];
        for (int i = 0; i < perWord; i++) {
            places[AWQ_ORDER[i]] = i;
        }
        return new Rows.Computed(outputs, inputs, (row, out) -> {
            long word = row / perWord;
            int shift = places[(int) (row % perWord)] * bits;
            for (int c = 0; c < inputs; c++) {
                int g = c / group;
                int q = words.word(c, word) >>> shift & 15;
                int zero = zeros.word(g, word) >>> shift & 15;
                out[c] = (q - zero) * scales.at(g, row);
            }
        });
    }

    /** Integers of inputs / 8 × outputs; the first format stores zeros less one. */
    private Rows gptq(String name) {
        Numbers words = part(name, "qweight").requireWords();
        Numbers scales = part(name, "scales");
        int perWord = WORD_BITS / bits;
        int mask = (1 << bits) - 1;
        int inputs = Math.toIntExact(words.count() * perWord);
        long outputs = words.columns();
        long groups = scales.count();
        scales.require(groups, outputs);
        Numbers zeros = part(name, "qzeros").requireWords().require(groups, Math.ceilDiv(outputs, perWord));
        int[] group = groups(name, "g_idx", inputs, groups);
        int more = config.string("checkpoint_format", "gptq").equals("gptq_v2") ? 0 : 1;
        return new Rows.Computed(outputs, inputs, (row, out) -> {
            int zeroShift = (int) (row % perWord) * bits;
            for (int c = 0; c < inputs; c++) {
                int g = group[c];
                int q = words.word(c / perWord, row) >>> c % perWord * bits & mask;
                int zero = (zeros.word(g, row / perWord) >>> zeroShift & mask) + more;
                out[c] = (q - zero) * scales.at(g, row);
            }
        });
    }

    /** Integers of outputs × inputs, eight or four a word; zeros, if any, are packed along the outputs. */
    private Rows packed(String name) {
        Numbers words = part(name, "weight_packed").requireWords();
        Numbers shape = part(name, "weight_shape");
        Numbers scales = part(name, "weight_scale");
        if (shape.count() * shape.columns() != 2) {
            throw new ModelFormatException("Tensor \"" + name + ".weight_shape\" is no pair of numbers.");
        }
        long outputs = (long) shape.at(0, 0);
        int inputs = (int) shape.at(0, 1);
        int width = inputs > 0 && words.columns() >= Math.ceilDiv(inputs, 4) ? 8 : 4;
        int perWord = WORD_BITS / width;
        words.require(outputs, Math.ceilDiv(inputs, perWord));
        long groups = scales.columns();
        scales.require(outputs, groups);
        int[] group = groups(name, "weight_g_idx", inputs, groups);
        int middle = 1 << width - 1;
        int mask = 2 * middle - 1;
        Numbers zeros = zeros(name);
        if (zeros != null) {
            zeros.requireWords().require(Math.ceilDiv(outputs, perWord), groups);
        }
        return new Rows.Computed(outputs, inputs, (row, out) -> {
            int shift = (int) (row % perWord) * width;
            for (int c = 0; c < inputs; c++) {
                int q = words.word(row, c / perWord) >>> c % perWord * width & mask;
                int zero = zeros == null ? middle : zeros.word(row / perWord, group[c]) >>> shift & mask;
                out[c] = (q - zero) * scales.at(row, group[c]);
            }
        });
    }

    /** INT8 or FP8 of outputs × inputs with a scale, and a zero or none, for each output, group of inputs, or all. */
    private Rows scaled(String name) {
        Numbers weights = part(name, "weight");
        Numbers scales = part(name, "weight_scale");
        boolean one = scales.count() * scales.columns() == 1;
        long groups = one ? 1 : scales.columns();
        if (!one) {
            scales.require(weights.count(), groups);
        }
        int group = group(name, weights.columns(), groups);
        Numbers zeros = zeros(name);
        if (zeros != null) {
            zeros.require(scales.count(), scales.columns());
        }
        return new Rows.Computed(weights.count(), weights.columns(), (row, out) -> {
            weights.read(row, out);
            long line = one ? 0 : row;
            for (int c = 0; c < weights.columns(); c++) {
                int g = one ? 0 : c / group;
                float zero = zeros == null ? 0 : zeros.at(line, g);
                out[c] = (out[c] - zero) * scales.at(line, g);
            }
        });
    }

    /** What stands for zero in compressed-tensors; null where 0 does. */
    private @Nullable Numbers zeros(String name) {
        return has(name, "weight_zero_point") ? part(name, "weight_zero_point") : null;
    }

    private static int group(String name, int inputs, long groups) {
        if (groups < 1 || inputs % groups != 0) {
            throw new ModelFormatException(
                    "\"" + name + "\" has scales for " + groups + " groups of its " + inputs + " columns.");
        }
        return Math.toIntExact(inputs / groups);
    }

    /** The group of each column: as stored, or one after the other. */
    private int[] groups(String name, String stored, int inputs, long groups) {
        int[] group = new int[inputs];
        if (has(name, stored)) {
            Numbers numbers = part(name, stored).require(1, inputs);
            for (int c = 0; c < inputs; c++) {
                group[c] = (int) numbers.at(0, c);
                if (group[c] < 0 || group[c] >= groups) {
                    throw new ModelFormatException("Tensor \"" + name + "." + stored + "\" names the group " + group[c]
                            + " of " + groups + ".");
                }
            }
            return group;
        }
        int length = group(name, inputs, groups);
        for (int c = 0; c < inputs; c++) {
            group[c] = c / length;
        }
        return group;
    }
}
