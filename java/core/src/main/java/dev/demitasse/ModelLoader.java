package dev.demitasse;

import dev.demitasse.chat.OtherMedia;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.LinearObserver;
import dev.demitasse.device.ObservedDevice;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Weights;
import dev.demitasse.runtime.Engine;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.tokenizer.Tokenizer;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** Makes models of files. */
final class ModelLoader {
    private static final System.Logger LOG = System.getLogger("dev.demitasse");

    private ModelLoader() {}

    /** The options, with the file's own activations where nothing else is asked for. */
    static DeviceOptions asFileSays(Metadata metadata, DeviceOptions options) {
        String wanted = metadata.string(Model.ACTIVATIONS, null);
        if (wanted != null && !wanted.equals(Model.ROW_ACTIVATIONS)) {
            throw new UnsupportedModelException(
                    "The file asks for activations as \"" + wanted + "\"; \"" + Model.ROW_ACTIVATIONS + "\" is known.");
        }
        return wanted == null || options.activations() != null
                ? options
                : options.withActivations(ActivationType.INT8_ROW);
    }

    static Model load(Gguf file, ModelOptions options, @Nullable LinearObserver observer, LongConsumer progress) {
        Metadata metadata = file.metadata();
        // The vocabulary's maps take as long as a part of the weights: they are built meanwhile.
        CompletableFuture<Tokenizer> tokenizers = CompletableFuture.supplyAsync(() -> Tokenizer.of(metadata));
        ModelConfig config;
        SamplingOptions sampling;
        try {
            config = Hyperparameters.read(file, options.contextLength());
            requireGenerator(config);
            sampling = SamplingDefaults.of(metadata);
        } catch (RuntimeException e) {
            tokenizers.cancel(false);
            throw e;
        }
        int context = contextLength(options.contextLength(), config);
        Device opened = Devices.open(options.backend(), options.device());
        Device device = observer == null ? opened : new ObservedDevice(opened, observer);
        Weights weights = null;
        Engine engine = null;
        CompletableFuture<String> fingerprint = file.isShared()
                ? CompletableFuture.supplyAsync(file::fingerprint)
                : CompletableFuture.completedFuture(file.fingerprint());
        try {
            Weights.Drafts drafts = drafts(options, device);
            MemoryNeed need = MemoryNeed.of(file, options, context, drafts != Weights.Drafts.NONE, opened);
            long free = device.freeBytes();
            LOG.log(need.exceeds(free) ? System.Logger.Level.WARNING : System.Logger.Level.DEBUG, need.sentence(free));
            weights = new Weights(file, config, device, options.forcedLayout(), drafts, progress);
            Tokenizer tokenizer = join(tokenizers);
            engine = new Engine(
                    config,
                    weights,
                    device,
                    new Engine.Limits(
                            context,
                            options.sequences(),
                            Math.min(options.batchRows(), context),
                            options.promptChunk(),
                            options.kvType(),
                            options.kvRotation().rotates(options.kvType())),
                    new Engine.Roles(
                            tokenizer.vocabulary()::isEnd,
                            tokenizer.vocabulary().suppressed()));
            ChatFormat format = ChatFormat.of(metadata, tokenizer, options);
            List<String> leftOut = OtherMedia.leftOut(metadata);
            if (!leftOut.isEmpty()) {
                LOG.log(System.Logger.Level.INFO, OtherMedia.sentence(leftOut));
            }
            return new Model(config, tokenizer, format, sampling, device, weights, engine, join(fingerprint));
        } catch (RuntimeException | Error e) {
            fingerprint.exceptionally(other -> "").join(); // the file may be closed behind this
            if (engine != null) {
                engine.close();
            }
            if (weights != null) {
                weights.close();
            }
            device.close();
            throw e;
        }
    }

    private static Weights.Drafts drafts(ModelOptions options, Device device) {
        return switch (options.draftBlock()) {
            case AUTO -> device.runsAhead() ? Weights.Drafts.NONE : Weights.Drafts.WHERE_SOUND;
            case ON -> Weights.Drafts.REQUIRED;
            case OFF -> Weights.Drafts.NONE;
        };
    }

    private static void requireGenerator(ModelConfig config) {
        if (config.isEncoder()) {
            throw new UnsupportedModelException(
                    "The model is an encoder (" + config.architecture().key()
                            + "), which generates no text: use it for embeddings, with EmbeddingModel or \"demitasse"
                            + " embed\".");
        }
    }

    private static int contextLength(int wanted, ModelConfig config) {
        if (wanted > config.contextLength()) {
            throw new UsageException("A context of " + wanted + " positions was asked for; the model was trained for "
                    + config.contextLength() + ".");
        }
        return Math.min(wanted == 0 ? Hyperparameters.DEFAULT_CONTEXT : wanted, config.contextLength());
    }

    private static <T> T join(CompletableFuture<T> computed) {
        try {
            return computed.join();
        } catch (CompletionException e) {
            switch (e.getCause()) {
                case RuntimeException cause -> throw cause;
                case Error cause -> throw cause;
                case null, default -> throw e;
            }
        }
    }
}
