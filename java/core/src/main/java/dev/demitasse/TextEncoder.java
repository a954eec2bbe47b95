package dev.demitasse;

import dev.demitasse.device.Device;
import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Weights;
import dev.demitasse.runtime.Encoder;
import dev.demitasse.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongConsumer;

/** What embeddings and scores of texts have in common: a model that runs them whole, on a device. */
final class TextEncoder implements AutoCloseable {
    private static final int DEFAULT_TOKENS = 2048;

    final ModelConfig config;
    final Tokenizer tokenizer;
    final Device device;
    final Weights weights;
    final Pooling pooling;
    final int maximumTokens;
    final boolean truncates;
    private final Encoder encoder;
    private boolean closed;

    /**
     * Loads an open file, which may be closed afterwards.
     *
     * @param scores whether scores are wanted, or embeddings
     * @param progress hears of the bytes that are being loaded
     */
    TextEncoder(Gguf file, EmbeddingOptions options, boolean scores, LongConsumer progress) {
        ModelConfig read = Hyperparameters.read(file, options.maximumTokens(), false);
        config = read;
        pooling = options.pooling() == null ? read.pooling() : options.pooling();
        if (pooling == Pooling.NONE) {
            throw new UsageException("The file does not say how the rows of a text are pooled: ask for a pooling (mean,"
                    + " cls, last), as the model's authors name it.");
        }
        if (scores != (pooling == Pooling.RANK)) {
            throw new UnsupportedModelException(
                    scores
                            ? "The model makes embeddings and no scores: use it with EmbeddingModel."
                            : "The model scores pairs of texts and makes no embeddings: use it with Reranker.");
        }
        int wanted = options.maximumTokens();
        if (wanted > read.contextLength()) {
            throw new UsageException("Texts of " + wanted + " tokens were asked for; the model was trained for "
                    + read.contextLength() + ".");
        }
        maximumTokens = Math.min(wanted == 0 ? DEFAULT_TOKENS : wanted, read.contextLength());
        truncates = options.truncates();
        tokenizer = Tokenizer.of(file.metadata());
        device = Devices.open(options.backend(), ModelLoader.asFileSays(file.metadata(), options.device()));
        Weights loaded = null;
        try {
            loaded = new Weights(file, read, device, options.forcedLayout(), Weights.Drafts.NONE, progress);
            weights = loaded;
            encoder = new Encoder(
                    read,
                    loaded,
                    device,
                    pooling,
                    Math.max(maximumTokens, options.batchRows()),
                    options.kvType(),
                    options.kvRotation().rotates(options.kvType()));
        } catch (RuntimeException | Error e) {
            if (loaded != null) {
                loaded.close();
            }
            device.close();
            throw e;
        }
    }

    /**
     * Checks the length of a text, or cuts it.
     *
     * @param what names it in a message
     */
    Encoder.Input fit(Encoder.Input input, String what) {
        int length = input.ids().length;
        if (length == 0) {
            throw new UsageException(what + " has no tokens; there is no embedding of nothing.");
        }
        if (length <= maximumTokens) {
            return input;
        }
        if (!truncates) {
            throw new ContextFullException(what + " has " + length + " tokens; " + maximumTokens
                    + " are possible. Split it, or ask for texts to be truncated"
                    + (maximumTokens < config.contextLength() ? ", or for more tokens a text." : "."));
        }
        int[] ids = Arrays.copyOf(input.ids(), maximumTokens);
        int last = input.ids()[length - 1];
        if (tokenizer.isClosing(last)) {
            ids[maximumTokens - 1] = last;
        }
        return new Encoder.Input(ids, Arrays.copyOf(input.types(), maximumTokens));
    }

    float[][] run(List<Encoder.Input> inputs) {
        EmbeddingEvent event = new EmbeddingEvent();
        event.begin();
        boolean whole = false;
        try {
            float[][] results = runAlone(inputs);
            whole = true;
            return results;
        } finally {
            event.complete(this, inputs, whole);
        }
    }

    private synchronized float[][] runAlone(List<Encoder.Input> inputs) {
        if (closed) {
            throw new UsageException("The model is closed.");
        }
        return encoder.run(inputs);
    }

    int dimension() {
        return encoder.dimension();
    }

    @Override
    public synchronized void close() { // after what runs
        if (!closed) {
            closed = true;
            encoder.close();
            weights.close();
            device.close();
        }
    }
}
