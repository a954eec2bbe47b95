package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.device.TokenIds;
import java.util.stream.IntStream;

/** Computes what layers get of each token beside the residual stream (per-layer embeddings, Gemma 3n and 4). */
final class InputLayer {
    private final Device device;
    private final ModelConfig config;
    private final Embeddings embeddings;
    private final Buffer all; // rows × layers × layerInput
    private final Buffer projected; // the same, of the embedding's projection; then rows × layerInput
    private final Buffer own; // rows × layerInput, a layer's

    /**
     * What layers get of each token: a row of a table and a projection of the embedding, normalized for each layer.
     *
     * @param table rows of layers × {@link ModelConfig#layerInput}
     * @param projection as many rows
     * @param norm layerInput, divided by sqrt(2)
     */
    record Embeddings(LinearWeight table, LinearWeight projection, Buffer norm) {}

    /**
     * How a layer adds what it gets: {@code norm(projection(activation(gate x) * input))}.
     *
     * @param gate rows layerInput
     * @param projection of as many columns
     */
    record Parts(LinearWeight gate, LinearWeight projection, Norm norm) {}

    InputLayer(Device device, DeviceBuffers buffers, ModelConfig config, Embeddings embeddings, int maximumRows) {
        this.device = device;
        this.config = config;
        this.embeddings = embeddings;
        long columns = (long) config.layers().size() * config.layerInput();
        all = buffers.allocate(maximumRows, columns);
        projected = buffers.allocate(maximumRows, columns);
        own = buffers.allocate(maximumRows, config.layerInput());
    }

    /**
     * Looks the tokens of a batch up: {@code (norm(projection x / sqrt(hidden)) + sqrt(layerInput) table[id]) /
     * sqrt(2)}. A norm's epsilon takes the place of the division of what it normalizes.
     *
     * @param x count × hidden, the scaled embedding
     */
    void begin(TokenIds ids, int count, Buffer x) {
        int width = config.layerInput();
        int rows = count * config.layers().size();
        device.embed(embeddings.table, ids, count, (float) Math.sqrt(width / 2.0), all);
        device.linear(x, count, new Projection(embeddings.projection, null, projected));
        device.rmsNorm(projected, embeddings.norm, rows, width, config.epsilon() * config.hidden(), projected);
        device.add(all, projected, (long) rows * width);
    }

    /**
     * What a layer adds to the residual stream, before its norm.
     *
     * @param x count × hidden, the residual stream
     * @param out receives count × hidden
     */
    void run(Parts parts, int layer, Buffer x, int count, Buffer out) {
        int layers = config.layers().size();
        int[] rows = IntStream.range(0, count).map(row -> row * layers + layer).toArray();
        device.gatherRows(all, config.layerInput(), rows, own);
        device.linear(x, count, new Projection(parts.gate, null, projected));
        device.gatedActivation(config.gate(), projected, own, (long) count * config.layerInput(), projected);
        device.linear(projected, count, new Projection(parts.projection, null, out));
    }
}
