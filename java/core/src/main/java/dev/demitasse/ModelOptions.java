package dev.demitasse;

import dev.demitasse.device.DeviceOptions;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import org.jspecify.annotations.Nullable;

/**
 * How to load a model.
 *
 * @param backend a backend's name, or {@code auto}
 * @param device how to open the device
 * @param contextLength positions a session may have; 0 for 4096 or what the model was trained for, if that is less
 * @param sequences sessions of full length that the cache holds at once; memory is used as it fills
 * @param batchRows rows of a forward pass at most
 * @param promptChunk rows of one prompt in a forward pass at most
 * @param kvType how the cache stores numbers
 * @param forcedLayout a layout for every matrix instead of its type's own; null for none
 */
public record ModelOptions(
        String backend,
        DeviceOptions device,
        int contextLength,
        int sequences,
        int batchRows,
        int promptChunk,
        KvType kvType,
        @Nullable WeightLayout forcedLayout) {
    /** The first backend that works, a context of 4096, four sessions, an F16 cache. */
    public static final ModelOptions DEFAULT =
            new ModelOptions("auto", DeviceOptions.defaults(), 0, 4, 512, 512, KvType.F16, null);

    /** Checks the values. */
    public ModelOptions {
        if (contextLength < 0 || sequences < 1 || batchRows < 1 || promptChunk < 1) {
            throw new UsageException("A model needs at least one sequence, batch row and prompt row, and a context.");
        }
    }

    /** The same on another backend. */
    public ModelOptions withBackend(String name) {
        return new ModelOptions(name, device, contextLength, sequences, batchRows, promptChunk, kvType, forcedLayout);
    }

    /** The same with other device options. */
    public ModelOptions withDevice(DeviceOptions options) {
        return new ModelOptions(
                backend, options, contextLength, sequences, batchRows, promptChunk, kvType, forcedLayout);
    }

    /** The same with another context length. */
    public ModelOptions withContextLength(int positions) {
        return new ModelOptions(backend, device, positions, sequences, batchRows, promptChunk, kvType, forcedLayout);
    }

    /** The same for another number of sessions. */
    public ModelOptions withSequences(int count) {
        return new ModelOptions(backend, device, contextLength, count, batchRows, promptChunk, kvType, forcedLayout);
    }

    /** The same with other batch sizes. */
    public ModelOptions withBatch(int rows, int chunk) {
        return new ModelOptions(backend, device, contextLength, sequences, rows, chunk, kvType, forcedLayout);
    }

    /** The same with another cache type. */
    public ModelOptions withKvType(KvType type) {
        return new ModelOptions(backend, device, contextLength, sequences, batchRows, promptChunk, type, forcedLayout);
    }

    /** The same with every matrix in {@code layout}. */
    public ModelOptions withForcedLayout(@Nullable WeightLayout layout) {
        return new ModelOptions(backend, device, contextLength, sequences, batchRows, promptChunk, kvType, layout);
    }
}
