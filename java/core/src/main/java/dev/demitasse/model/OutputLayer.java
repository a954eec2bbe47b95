package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;

/** Computes the logits of rows: their norm, the output matrix, and a soft cap. */
final class OutputLayer {
    private final Device device;
    private final ModelConfig config;
    private final Buffer picked; // rows × hidden
    private final Buffer logits; // rows × vocabulary

    /** Room for so many rows. */
    OutputLayer(Device device, DeviceBuffers buffers, ModelConfig config, int rows) {
        this.device = device;
        this.config = config;
        picked = buffers.allocate(rows, config.hidden());
        logits = buffers.allocate(rows, config.vocabulary());
    }

    /**
     * The logits of {@code wanted} rows of the residual stream.
     *
     * @param norm before the matrix
     * @param output the matrix
     * @return wanted × vocabulary, valid until the next call
     */
    Buffer run(Buffer residual, int[] wanted, Norm norm, LinearWeight output) {
        device.gatherRows(residual, config.hidden(), wanted, picked);
        Transformer.normalize(device, config, picked, norm, wanted.length, config.residualEpsilon(), picked);
        device.linear(picked, wanted.length, new Projection(output, null, logits));
        if (config.finalSoftCap() != 0) {
            device.softCap(logits, (long) wanted.length * config.vocabulary(), config.finalSoftCap());
        }
        return logits;
    }
}
