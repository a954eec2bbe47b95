package dev.demitasse;

import dev.demitasse.device.DeviceOptions;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvRotation;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How to load a model.
 *
 * @param backend a backend's name, or {@code auto}
 * @param device how to open the device
 * @param contextLength positions a session may have, at most what the model was trained for; 0 for 4096, or that if it
 *     is less
 * @param sequences sessions of full length that the cache holds at once; memory is used as it fills. Models whose
 *     layers have a state have one for so many sessions, of any length, and take the memory for that when they are
 *     loaded
 * @param batchRows rows of a forward pass at most
 * @param promptChunk rows of one prompt in a forward pass at most
 * @param kvType how the cache stores numbers
 * @param kvRotation whether the cache holds keys and values rotated
 * @param draftBlock whether the model's own block that drafts tokens is loaded
 * @param forcedLayout a layout for every matrix instead of its type's own; null for none
 * @param chatTemplate a chat template in Jinja instead of the file's own; null for that
 * @param templateVariables what a chat template finds beside the messages, {@code enable_thinking} for example:
 *     booleans, numbers, strings
 */
public record ModelOptions(
        String backend,
        DeviceOptions device,
        int contextLength,
        int sequences,
        int batchRows,
        int promptChunk,
        KvType kvType,
        KvRotation kvRotation,
        DraftBlock draftBlock,
        @Nullable WeightLayout forcedLayout,
        @Nullable String chatTemplate,
        Map<String, Object> templateVariables) {
    /** The first backend that works, a context of 4096, four sessions, an F16 cache. */
    public static final ModelOptions DEFAULT = new ModelOptions(
            "auto",
            DeviceOptions.defaults(),
            0,
            4,
            512,
            512,
            KvType.F16,
            KvRotation.AUTO,
            DraftBlock.AUTO,
            null,
            null,
            Map.of());

    /** Checks the values. */
    public ModelOptions {
        Objects.requireNonNull(backend, "backend");
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(kvType, "kvType");
        Objects.requireNonNull(kvRotation, "kvRotation");
        Objects.requireNonNull(draftBlock, "draftBlock");
        templateVariables = Map.copyOf(templateVariables);
        if (contextLength < 0 || sequences < 1 || batchRows < 1 || promptChunk < 1) {
            throw new UsageException("A model needs at least one sequence, batch row and prompt row, and a context.");
        }
    }

    /**
     * {@return what a text means as a {@linkplain #templateVariables variable of a template}: a boolean where it is
     * {@code true} or {@code false}, an integer where it is one, else the text itself}
     *
     * @param text as a command line or a file of properties has it
     */
    public static Object templateValue(String text) {
        return text.equals("true") || text.equals("false")
                ? (Object) Boolean.valueOf(text)
                : text.matches("-?[0-9]{1,18}") ? (Object) Long.valueOf(text) : text;
    }

    /**
     * {@return the same on another backend}
     *
     * @param name of a backend, or "auto"
     */
    public ModelOptions withBackend(String name) {
        return new ModelOptions(
                name,
                device,
                contextLength,
                sequences,
                batchRows,
                promptChunk,
                kvType,
                kvRotation,
                draftBlock,
                forcedLayout,
                chatTemplate,
                templateVariables);
    }

    /**
     * {@return the same with other device options}
     *
     * @param options of the device
     */
    public ModelOptions withDevice(DeviceOptions options) {
        return new ModelOptions(
                backend,
                options,
                contextLength,
                sequences,
                batchRows,
                promptChunk,
                kvType,
                kvRotation,
                draftBlock,
                forcedLayout,
                chatTemplate,
                templateVariables);
    }

    /**
     * {@return the same with another context length}
     *
     * @param positions that a session may have; 0 for the model's, at most 4096
     */
    public ModelOptions withContextLength(int positions) {
        return new ModelOptions(
                backend,
                device,
                positions,
                sequences,
                batchRows,
                promptChunk,
                kvType,
                kvRotation,
                draftBlock,
                forcedLayout,
                chatTemplate,
                templateVariables);
    }

    /**
     * {@return the same for another number of sessions}
     *
     * @param count of sessions
     */
    public ModelOptions withSequences(int count) {
        return new ModelOptions(
                backend,
                device,
                contextLength,
                count,
                batchRows,
                promptChunk,
                kvType,
                kvRotation,
                draftBlock,
                forcedLayout,
                chatTemplate,
                templateVariables);
    }

    /**
     * {@return the same with other batch sizes}
     *
     * @param rows of a forward pass at most
     * @param chunk rows of one prompt in a forward pass at most
     */
    public ModelOptions withBatch(int rows, int chunk) {
        return new ModelOptions(
                backend,
                device,
                contextLength,
                sequences,
                rows,
                chunk,
                kvType,
                kvRotation,
                draftBlock,
                forcedLayout,
                chatTemplate,
                templateVariables);
    }

    /**
     * {@return the same with another cache type}
     *
     * @param type how the cache stores numbers
     */
    public ModelOptions withKvType(KvType type) {
        return new ModelOptions(
                backend,
                device,
                contextLength,
                sequences,
                batchRows,
                promptChunk,
                type,
                kvRotation,
                draftBlock,
                forcedLayout,
                chatTemplate,
                templateVariables);
    }

    /**
     * {@return the same with a cache that is rotated or not}
     *
     * @param rotation whether keys and values are stored rotated
     */
    public ModelOptions withKvRotation(KvRotation rotation) {
        return new ModelOptions(
                backend,
                device,
                contextLength,
                sequences,
                batchRows,
                promptChunk,
                kvType,
                rotation,
                draftBlock,
                forcedLayout,
                chatTemplate,
                templateVariables);
    }

    /**
     * {@return the same with or without the model's draft block}
     *
     * @param wanted whether it is loaded
     */
    public ModelOptions withDraftBlock(DraftBlock wanted) {
        return new ModelOptions(
                backend,
                device,
                contextLength,
                sequences,
                batchRows,
                promptChunk,
                kvType,
                kvRotation,
                wanted,
                forcedLayout,
                chatTemplate,
                templateVariables);
    }

    /**
     * {@return the same with every matrix in {@code layout}}
     *
     * @param layout of every matrix; null for the layouts of the file
     */
    public ModelOptions withForcedLayout(@Nullable WeightLayout layout) {
        return new ModelOptions(
                backend,
                device,
                contextLength,
                sequences,
                batchRows,
                promptChunk,
                kvType,
                kvRotation,
                draftBlock,
                layout,
                chatTemplate,
                templateVariables);
    }

    /**
     * {@return the same with another chat template, or the file's own}
     *
     * @param jinja the template; null for the file's
     */
    public ModelOptions withChatTemplate(@Nullable String jinja) {
        return new ModelOptions(
                backend,
                device,
                contextLength,
                sequences,
                batchRows,
                promptChunk,
                kvType,
                kvRotation,
                draftBlock,
                forcedLayout,
                jinja,
                templateVariables);
    }

    /**
     * {@return the same with variables for the chat template}
     *
     * @param variables by name, as values of Jinja
     */
    public ModelOptions withTemplateVariables(Map<String, Object> variables) {
        return new ModelOptions(
                backend,
                device,
                contextLength,
                sequences,
                batchRows,
                promptChunk,
                kvType,
                kvRotation,
                draftBlock,
                forcedLayout,
                chatTemplate,
                variables);
    }
}
