package dev.demitasse;

import dev.demitasse.device.DeviceOptions;
import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvRotation;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How to load a model for embeddings or scores of texts.
 *
 * @param backend a backend's name, or {@code auto}
 * @param device how to open the device
 * @param maximumTokens tokens that a text may have, at most what the model was trained for; 0 for 2048, or that if it
 *     is less
 * @param batchRows tokens that are run at once; at least {@code maximumTokens} are
 * @param kvType how keys and values of a batch are stored
 * @param kvRotation whether those are stored rotated
 * @param forcedLayout a layout for every matrix instead of its type's own; null for none
 * @param pooling what of a text's rows is its embedding; null for what the file says
 * @param normalized whether embeddings have length 1
 * @param truncates whether what a text has beyond {@code maximumTokens} is left out; else such a text is refused
 */
public record EmbeddingOptions(
        String backend,
        DeviceOptions device,
        int maximumTokens,
        int batchRows,
        KvType kvType,
        KvRotation kvRotation,
        @Nullable WeightLayout forcedLayout,
        @Nullable Pooling pooling,
        boolean normalized,
        boolean truncates) {
    /** The first backend that works, normalized embeddings of texts of up to 2048 tokens; longer ones are refused. */
    public static final EmbeddingOptions DEFAULT = new EmbeddingOptions(
            "auto", DeviceOptions.defaults(), 0, 512, KvType.F16, KvRotation.AUTO, null, null, true, false);

    /** Checks the values. */
    public EmbeddingOptions {
        Objects.requireNonNull(backend, "backend");
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(kvType, "kvType");
        Objects.requireNonNull(kvRotation, "kvRotation");
        if (maximumTokens < 0 || batchRows < 1) {
            throw new UsageException("A text of " + maximumTokens + " tokens, or a batch of " + batchRows
                    + ", cannot be; a batch has at least one.");
        }
        if (pooling == Pooling.NONE) {
            throw new UsageException("An embedding needs a pooling: mean, cls or last.");
        }
    }

    /**
     * {@return the same on another backend}
     *
     * @param name a backend's name, or {@code auto}
     */
    public EmbeddingOptions withBackend(String name) {
        return new EmbeddingOptions(
                name,
                device,
                maximumTokens,
                batchRows,
                kvType,
                kvRotation,
                forcedLayout,
                pooling,
                normalized,
                truncates);
    }

    /**
     * {@return the same with other device options}
     *
     * @param options how to open the device
     */
    public EmbeddingOptions withDevice(DeviceOptions options) {
        return new EmbeddingOptions(
                backend,
                options,
                maximumTokens,
                batchRows,
                kvType,
                kvRotation,
                forcedLayout,
                pooling,
                normalized,
                truncates);
    }

    /**
     * {@return the same for texts of so many tokens}
     *
     * @param tokens at most what the model was trained for; 0 for 2048, or that if it is less
     */
    public EmbeddingOptions withMaximumTokens(int tokens) {
        return new EmbeddingOptions(
                backend, device, tokens, batchRows, kvType, kvRotation, forcedLayout, pooling, normalized, truncates);
    }

    /**
     * {@return the same with batches of so many tokens}
     *
     * @param rows tokens that are run at once, at least 1
     */
    public EmbeddingOptions withBatchRows(int rows) {
        return new EmbeddingOptions(
                backend, device, maximumTokens, rows, kvType, kvRotation, forcedLayout, pooling, normalized, truncates);
    }

    /**
     * {@return the same with keys and values of another type}
     *
     * @param type how keys and values of a batch are stored
     */
    public EmbeddingOptions withKvType(KvType type) {
        return new EmbeddingOptions(
                backend,
                device,
                maximumTokens,
                batchRows,
                type,
                kvRotation,
                forcedLayout,
                pooling,
                normalized,
                truncates);
    }

    /**
     * {@return the same with keys and values rotated, or not}
     *
     * @param rotation whether those are stored rotated
     */
    public EmbeddingOptions withKvRotation(KvRotation rotation) {
        return new EmbeddingOptions(
                backend,
                device,
                maximumTokens,
                batchRows,
                kvType,
                rotation,
                forcedLayout,
                pooling,
                normalized,
                truncates);
    }

    /**
     * {@return the same with every matrix in {@code layout}}
     *
     * @param layout of every matrix; null for its type's own
     */
    public EmbeddingOptions withForcedLayout(@Nullable WeightLayout layout) {
        return new EmbeddingOptions(
                backend, device, maximumTokens, batchRows, kvType, kvRotation, layout, pooling, normalized, truncates);
    }

    /**
     * {@return the same with another pooling, or the file's}
     *
     * @param other what of a text's rows is its embedding, but {@link Pooling#NONE}; null for what the file says
     */
    public EmbeddingOptions withPooling(@Nullable Pooling other) {
        return new EmbeddingOptions(
                backend,
                device,
                maximumTokens,
                batchRows,
                kvType,
                kvRotation,
                forcedLayout,
                other,
                normalized,
                truncates);
    }

    /**
     * {@return the same with embeddings of length 1, or as they are}
     *
     * @param wanted whether embeddings have length 1
     */
    public EmbeddingOptions withNormalized(boolean wanted) {
        return new EmbeddingOptions(
                backend,
                device,
                maximumTokens,
                batchRows,
                kvType,
                kvRotation,
                forcedLayout,
                pooling,
                wanted,
                truncates);
    }

    /**
     * {@return the same with long texts cut, or refused}
     *
     * @param wanted whether what a text has beyond {@code maximumTokens} is left out; else such a text is refused
     */
    public EmbeddingOptions withTruncates(boolean wanted) {
        return new EmbeddingOptions(
                backend,
                device,
                maximumTokens,
                batchRows,
                kvType,
                kvRotation,
                forcedLayout,
                pooling,
                normalized,
                wanted);
    }
}
