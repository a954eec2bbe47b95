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
 * @param reading seconds to read bytes that are read over and over, by how many there are: what caches hold of them is
 *     not read from memory
 * @param peaks the arithmetic that was reached, converting rows aside, or is published
 * @param launchSeconds what an operation costs however small it is
 * @param stepSeconds what a forward pass costs beside its operations
 * @param memoryBytes for weights and caches
 * @param linear of {@code linear}, by layout
 * @param attention of attention, by the cache's type; measured ones lack F32
 * @param rest of a layer's other operations
 * @param states of what makes a layer's next state, for an element of it
 * @param sampleSeconds of choosing a token, for one token of the vocabulary
 */
public record DeviceProfile(
        String name,
        String source,
        Curve reading,
        Peaks peaks,
        double launchSeconds,
        double stepSeconds,
        long memoryBytes,
        Map<WeightLayout, LinearCost> linear,
        Map<KvType, AttentionCost> attention,
        RestCost rest,
        RestCost states,
        double sampleSeconds) {
    /** The source of what was measured here. */
    static final String MEASURED = "measured";

    /** {@return bytes a second that kernels read at most: from memory, unless caches hold the whole model} */
    public double readBandwidth() {
        return 1 / reading.slope();
    }

    /**
     * {@return bytes a second that kernels read at most, where a step reads so many and the next one the same}
     *
     * @param bytes at least 1
     */
    public double readBandwidth(double bytes) {
        return bytes / reading.at(bytes);
    }

    /**
     * {@return the same device with other memory}
     *
     * @param bytes for weights and caches
     * @throws UsageException where there are none
     */
    public DeviceProfile withMemory(long bytes) {
        if (bytes <= 0) {
            throw new UsageException("Of memory there are " + bytes + " bytes; give more than none.");
        }
        return new DeviceProfile(
                name,
                source,
                reading,
                peaks,
                launchSeconds,
                stepSeconds,
                bytes,
                linear,
                attention,
                rest,
                states,
                sampleSeconds);
    }

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
     * @param inputSeconds for an element of the rows that are multiplied, however many outputs there are: quantizing
     *     them
     * @param exposed what several rows take beside their arithmetic, of the time that one row takes for reading: 1
     *     where nothing of it is hidden, more where they read more slowly, too; 0 where it is hidden as one row's is
     */
    public record LinearCost(double bytesPerWeight, Curve seconds, double inputSeconds, double exposed) {
        /** A cost that has quantizing in it, of a device that reads while it computes. */
        LinearCost(double bytesPerWeight, Curve seconds) {
            this(bytesPerWeight, seconds, 0, 0);
        }

        /**
         * {@return seconds in which weights are read and multiplied}
         *
         * @param rows that meet each of them, at least 1
         * @param memory seconds of reading them
         * @param arithmetic seconds of the rest
         */
        public double overlapped(double rows, double memory, double arithmetic) {
            double hidden = Math.hypot(memory, arithmetic);
            double shown = Math.max(hidden, exposed * memory + arithmetic);
            return hidden + Math.clamp(rows - 1, 0, 1) * (shown - hidden); // experts may have 1.3 rows each
        }
    }

    /**
     * What small operations of a layer take.
     *
     * @param fixed seconds whatever the number of rows
     * @param decode seconds for an element of a row, where each row is another session's
     * @param prefill the same where rows follow each other
     */
    public record RestCost(double fixed, double decode, double prefill) {}

    /**
     * Attention, for one element of a query head and one position.
     *
     * @param decode arithmetic where each row is another session's, by rows
     * @param prefill where many rows are of one prompt
     * @param storing of what comes before it: positions, rotating, storing (see {@link Roofline#stored})
     */
    public record AttentionCost(Curve decode, double prefill, RestCost storing) {}

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
