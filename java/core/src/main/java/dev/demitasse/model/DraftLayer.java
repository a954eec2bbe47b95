package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.device.TokenIds;
import java.util.stream.IntStream;

/**
 * Computes what the draft block is given: the residual stream of a row, and the token that follows it, each normalized,
 * beside each other through one matrix (multi-token prediction: DeepSeek-AI, "DeepSeek-V3", 2024). The stream is that
 * behind the norm before the output matrix, as Qwen 3.5's blocks were trained with it: with that before it, fewer
 * drafts are right (llama.cpp, pull request 24025).
 */
final class DraftLayer {
    private final Device device;
    private final ModelConfig config;
    private final Parts parts;
    private final Buffer streams; // rows × hidden: of rows, behind their norm
    private final Buffer stacked; // 2 rows × hidden: of all tokens, then of all rows
    private final Buffer pairs; // rows × 2 × hidden: a token's, then its row's

    /**
     * The draft block's weights.
     *
     * @param embedding of the token that follows
     * @param inputNorms 2 × hidden: RMS norms of the token and of the row
     * @param input rows hidden, columns 2 × hidden
     * @param layer what the block is
     * @param norm of what the block returns
     * @param outputNorm the same, times what multiplies logits
     * @param output to logits of the token after the one that follows
     */
    record Parts(
            LinearWeight embedding,
            Buffer inputNorms,
            LinearWeight input,
            Layer layer,
            Weights.Block block,
            Norm norm,
            Norm outputNorm,
            LinearWeight output) {}

    /** Room for so many rows. */
    DraftLayer(Device device, DeviceBuffers buffers, ModelConfig config, Parts parts, int maximumRows) {
        this.device = device;
        this.config = config;
        this.parts = parts;
        streams = buffers.allocate(maximumRows, config.hidden());
        stacked = buffers.allocate(2L * maximumRows, config.hidden());
        pairs = buffers.allocate(2L * maximumRows, config.hidden());
    }

    /** The weights. */
    Parts parts() {
        return parts;
    }

    /**
     * Puts in the residual stream what the block is given.
     *
     * @param ids the token that follows each row
     * @param from which row of the residual stream each is
     * @param norm of those rows
     */
    void begin(TokenIds ids, int[] from, Buffer residual, Norm norm) {
        int count = from.length;
        device.gatherRows(residual, config.hidden(), from, streams);
        Transformer.normalize(device, config, streams, norm, count, config.residualEpsilon(), streams);
        device.embed(parts.embedding, ids, count, config.embeddingScale(), stacked);
        int[] all = IntStream.range(0, count).toArray();
        device.gatherRows(streams, config.hidden(), all, stacked, count);
        int[] beside = new int[2 * count];
        for (int row = 0; row < count; row++) {
            beside[2 * row] = row;
            beside[2 * row + 1] = count + row;
        }
        device.gatherRows(stacked, config.hidden(), beside, pairs);
        device.rmsNorm(pairs, parts.inputNorms, 2, 2 * count, config.hidden(), config.residualEpsilon(), pairs);
        device.linear(pairs, count, new Projection(parts.input, null, residual));
    }
}
