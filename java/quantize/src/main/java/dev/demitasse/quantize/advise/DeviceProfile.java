package dev.demitasse.quantize.advise;

import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import java.util.Map;

/**
 * What a device gives at most and what its kernels cost: the parameters of {@link Roofline}.
 *
 * @param name of the device
 * @param source where the figures are from: measured, or published
 * @param readBandwidth bytes a second that a kernel reads at most
 * @param peaks the arithmetic that was reached or is published
 * @param launchSeconds what an operation costs however small it is
 * @param stepSeconds what a forward pass costs beside its operations
 * @param memoryBytes for weights and caches
 * @param linear of {@code linear}, by layout
 * @param attention of attention, by the cache's type
 * @param rest of a layer's other operations
 * @param restSeconds the same whatever the number of rows, for a layer
 * @param sampleSeconds of choosing a token, for one token of the vocabulary
 */
public record DeviceProfile(
        String name,
        String source,
        double readBandwidth,
        Peaks peaks,
        double launchSeconds,
        double stepSeconds,
        long memoryBytes,
        Map<WeightLayout, LinearCost> linear,
        Map<KvType, AttentionCost> attention,
        RestCost rest,
        double restSeconds,
        double sampleSeconds) {
    /** The source of what was measured here. */
    static final String MEASURED = "measured";

    /** {@return whether the costs were measured, and are not of a data sheet} */
    public boolean isMeasured() {
        return source.equals(MEASURED);
    }

    /**
     * Operations a second; a multiplication and an addition are two.
     *
     * @param fp32 with FP32 weights
     * @param fp16 with FP16 weights
     * @param int8 with weights and activations in INT8
     */
    public record Peaks(double fp32, double fp16, double int8) {}

    /**
     * Multiplying by a matrix.
     *
     * @param bytesPerWeight scales included
     * @param seconds arithmetic for a weight, by rows: unpacking it once, and multiplying it by each row
     */
    public record LinearCost(double bytesPerWeight, Curve seconds) {}

    /**
     * What a layer does beside products and attention, for one element of a row (see {@link Roofline#elements}).
     *
     * @param decode seconds where each row is another session's, so that each has its place in the cache
     * @param prefill seconds where rows follow each other
     */
    public record RestCost(double decode, double prefill) {}

    /**
     * Attention, for one element of a query head and one position.
     *
     * @param decode arithmetic where each row is another session's, by rows
     * @param prefill where many rows are of one prompt
     */
    public record AttentionCost(Curve decode, double prefill) {}

    /** The cost of a layout. */
    LinearCost linear(WeightLayout layout) {
        LinearCost cost = linear.get(layout);
        if (cost == null) {
            throw new UsageException("What " + layout + " costs on " + name + " is not known.");
        }
        return cost;
    }

    /** The cost of a cache type. */
    AttentionCost attention(KvType type) {
        AttentionCost cost = attention.get(type);
        if (cost == null) {
            throw new UsageException("What a cache of " + type + " costs on " + name + " is not known.");
        }
        return cost;
    }
}
