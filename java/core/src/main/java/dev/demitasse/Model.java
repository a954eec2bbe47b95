package dev.demitasse;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.LinearObserver;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.OutOfDeviceMemoryException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Weights;
import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.Constraint;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A language model on a device. Thread-safe: sessions of several threads are decoded together.
 *
 * <pre>{@code
 * try (Model model = Models.load("smollm2-135m", ModelOptions.DEFAULT); // fetched, once; or Model.load(path)
 *         Session session = model.newSession()) {
 *     System.out.println(session.chat("What is the capital of Italy?").text());
 * }
 * }</pre>
 */
public final class Model implements AutoCloseable {
    /** Receives the logits of one position after the other. */
    @FunctionalInterface
    public interface LogitsVisitor {
        /**
         * Takes the logits at {@code position}; the array is used again.
         *
         * @param position of the token that the logits follow
         * @param logits one a token of the vocabulary
         */
        void visit(int position, float[] logits);
    }

    /**
     * The metadata key by which a file says how its activations are to be rounded. The value {@code int8_row} is INT8
     * with one scale a row, where the file's Q8_0 matrices have one scale a row too (W8A8).
     */
    public static final String ACTIVATIONS = Weights.ACTIVATIONS;
    /** That value. */
    public static final String ROW_ACTIVATIONS = "int8_row";

    private final ModelConfig config;
    private final Tokenizer tokenizer;
    private final ChatFormat chatFormat;
    private final SamplingOptions sampling;
    private final Device device;
    private final Weights weights;
    private final Engine engine;
    private final String fingerprint;
    private final Constraints constraints;
    private volatile @Nullable String system;
    private final List<Consumer<Generation>> listeners = new CopyOnWriteArrayList<>();
    private final AtomicBoolean closed =
            new AtomicBoolean(); // no monitor: a visitor may ask for a session while another thread closes

    Model(
            ModelConfig config,
            Tokenizer tokenizer,
            ChatFormat chatFormat,
            SamplingOptions sampling,
            Device device,
            Weights weights,
            Engine engine,
            String fingerprint) {
        this.config = config;
        this.tokenizer = tokenizer;
        this.chatFormat = chatFormat;
        this.sampling = sampling;
        this.device = device;
        this.weights = weights;
        this.engine = engine;
        this.fingerprint = fingerprint;
        constraints = new Constraints(tokenizer);
    }

    /**
     * {@return {@link #load(Path, ModelOptions)} with {@link ModelOptions#DEFAULT}}
     *
     * @param path a GGUF file
     */
    public static Model load(Path path) {
        return load(path, ModelOptions.DEFAULT);
    }

    /**
     * Loads a GGUF model. The file is not needed afterwards.
     *
     * @param path a GGUF file
     * @param options how to load it
     * @return the model, which the caller closes
     * @throws ModelFormatException where the file is damaged
     * @throws UnsupportedModelException where it is sound but needs something that is not there
     * @throws BackendUnavailableException where no device can be opened
     * @throws OutOfDeviceMemoryException where it does not fit
     * @throws UsageException where a longer context is asked for than the model was trained for
     */
    public static Model load(Path path, ModelOptions options) {
        try (Gguf file = Gguf.open(path)) {
            return load(file, options);
        }
    }

    /**
     * Loads a GGUF model, and tells how far that is.
     *
     * @param path a GGUF file
     * @param options how to load it
     * @param listener called by the thread that loads
     * @return the model, which the caller closes
     */
    public static Model load(Path path, ModelOptions options, LoadListener listener) {
        try (Gguf file = Gguf.open(path)) {
            LoadProgress progress = new LoadProgress(file, listener);
            DeviceOptions device = ModelLoader.asFileSays(file.metadata(), options.device());
            Model model = ModelLoader.load(file, options.withDevice(device), null, progress);
            progress.finish(model::close);
            return model;
        }
    }

    /**
     * Loads an open GGUF model, which may be closed afterwards.
     *
     * @param file an open GGUF file
     * @param options how to load it
     * @return the model, which the caller closes
     */
    public static Model load(Gguf file, ModelOptions options) {
        return load(file, options, null);
    }

    /**
     * {@return the same, where {@code observer} sees what each matrix is multiplied by; that costs time}
     *
     * @param file an open GGUF file
     * @param options how to load it
     * @param observer called by the thread that runs the model, or null
     */
    public static Model load(Gguf file, ModelOptions options, @Nullable LinearObserver observer) {
        DeviceOptions device = ModelLoader.asFileSays(file.metadata(), options.device());
        return ModelLoader.load(file, options.withDevice(device), observer, begun -> {});
    }

    /**
     * {@return a session; its conversation has what {@link #system} says} What other sessions that were opened so have
     * cached of the same beginning is not computed again, also where they are closed and there is room.
     */
    public Session newSession() {
        return newSession("");
    }

    /**
     * {@return a session that shares what is cached with those of the same salt alone} How long an answer takes tells
     * whether its prompt was asked before; who is not to know that of others has a salt of their own.
     *
     * @param salt such as the name of a tenant
     */
    public Session newSession(String salt) {
        requireOpen();
        Session session = new Session(this, engine, new Sequence(Objects.requireNonNull(salt, "salt")));
        String first = system;
        if (first != null) {
            session.history(List.of(Message.system(first)));
        }
        return session;
    }

    /**
     * {@return {@link #restoreSession(Path, String)} without a salt}
     *
     * @param path a file that {@link Session#save} wrote
     */
    public Session restoreSession(Path path) {
        return restoreSession(path, "");
    }

    /**
     * Opens a session that was saved. What was cached is restored where the model was loaded with the same type of
     * cache on the same kind of device, and there is room; else it is computed again when the session goes on, and the
     * log says why.
     *
     * @param path a file that {@link Session#save} wrote
     * @param salt as of {@link #newSession(String)}; the file has none
     * @return the session, which the caller closes
     * @throws dev.demitasse.exception.SessionFormatException where the file is damaged, or of another model
     * @throws UsageException where it cannot be read
     */
    public Session restoreSession(Path path, String salt) {
        requireOpen();
        Session session = new Session(this, engine, new Sequence(Objects.requireNonNull(salt, "salt")));
        try {
            session.restore(path);
        } catch (RuntimeException | Error e) {
            session.close();
            throw e;
        }
        return session;
    }

    /** {@return what tells the model's file from others: {@link Gguf#fingerprint}} */
    public String fingerprint() {
        return fingerprint;
    }

    /**
     * {@return the system message that new sessions begin with, where the model came of the catalogue and answers badly
     * without one; null for none} {@link Session#history(List)} replaces it.
     */
    public @Nullable String system() {
        return system;
    }

    void system(@Nullable String message) {
        system = message;
    }

    /** {@return the architecture's name in GGUF files} */
    public String architecture() {
        return config.architecture().key();
    }

    /** {@return transformer blocks} */
    public int layers() {
        return config.layers().size();
    }

    /** {@return tokens of the vocabulary: logits of a position} */
    public int vocabularySize() {
        return config.vocabulary();
    }

    /** {@return text to ids and back} */
    public Tokenizer tokenizer() {
        return tokenizer;
    }

    /**
     * {@return whether there is a chat template, in the file or in the options; a faulty one counts too, and {@code
     * chat} says what is wrong}
     */
    public boolean hasChatTemplate() {
        return chatFormat.exists();
    }

    /**
     * {@return how the model's authors want tokens to be chosen, as the file says ({@code general.sampling}); else
     * {@link SamplingOptions#DEFAULT}}
     */
    public SamplingOptions sampling() {
        return sampling;
    }

    /**
     * {@return what an answer is made by where nobody says how: {@link GenerationOptions#DEFAULT}, which knows no
     * model, with the model's own {@link #sampling}}
     */
    public GenerationOptions generationOptions() {
        return GenerationOptions.DEFAULT.withSampling(sampling);
    }

    /**
     * {@return whether the model can be told of tools ({@link GenerationOptions#withTools}), and its calls be read}
     */
    public boolean knowsTools() {
        return chatFormat.knowsTools();
    }

    /**
     * {@return tokens of a conversation as the chat template writes it, with the beginning of the next answer: what
     * {@link Session#chat} would read}
     *
     * @param messages of the conversation, in order
     * @param tools that the answer may call
     * @throws UnsupportedModelException where there is no template, or it knows no tools
     * @throws dev.demitasse.exception.TemplateException where it is faulty, or raises an error
     */
    public int countTokens(List<Message> messages, List<Tool> tools) {
        return chatFormat.encode(messages, tools).tokens().length;
    }

    /** What follows an answer that is to be of a grammar; null for none. */
    @Nullable
    Constraint constraint(@Nullable Grammar grammar) {
        return grammar == null ? null : constraints.of(grammar);
    }

    /** What is known of grammars. */
    Constraints constraints() {
        return constraints;
    }

    ChatFormat chatFormat() {
        return chatFormat;
    }

    /** {@return the name of the device's backend} */
    public String backend() {
        return device.name();
    }

    /** {@return what the device is, for people} */
    public String deviceDescription() {
        return device.description();
    }

    /** {@return threads of the device} */
    public int deviceThreads() {
        return device.threads();
    }

    /** {@return positions that a session may have} */
    public int contextLength() {
        return engine.contextLength();
    }

    /**
     * {@return bytes of the weights that a token is computed with: those of all experts that it has not chosen are left
     * out}
     */
    public long weightBytesPerToken() {
        return weights.bytesPerToken();
    }

    /** {@return bytes of the cache of keys and values on the device, for all sessions} */
    public long cacheBytes() {
        return engine.cacheBytes();
    }

    /**
     * {@return the share of that cache which sessions hold, 0 to 1; idle ones, too, whose pages others get where there
     * are no more}
     */
    public double cacheUse() {
        return engine.cacheUse();
    }

    /**
     * Tells a listener each answer that has ended, on the thread that asked for it; one that throws is logged, and the
     * answer stays.
     *
     * @param listener hears of answers until what is returned is closed
     * @return ends the listening
     */
    public Listening listen(Consumer<Generation> listener) {
        listeners.add(listener);
        return () -> listeners.remove(listener);
    }

    /** A listener that hears of answers, until it is closed. */
    @FunctionalInterface
    public interface Listening extends AutoCloseable {
        @Override
        void close();
    }

    void answered(Generation answer) {
        for (Consumer<Generation> listener : listeners) {
            try {
                listener.accept(answer);
            } catch (RuntimeException e) {
                System.getLogger("dev.demitasse").log(System.Logger.Level.WARNING, "A listener failed", e);
            }
        }
    }

    /** {@return bytes of the weights on the device} */
    public long weightBytes() {
        return weights.bytes();
    }

    /**
     * Runs tokens through the model for scoring.
     *
     * @param tokens to run, from position 0 on
     * @param from the first position whose logits are wanted
     * @param visitor receives the logits of each position from {@code from} on
     */
    public void evaluate(int[] tokens, int from, LogitsVisitor visitor) {
        requireOpen();
        engine.evaluate(tokens, from, visitor::visit);
    }

    /**
     * Begins to score a text piece by piece.
     *
     * @return an object that takes the pieces
     */
    public Scoring newScoring() {
        requireOpen();
        return new Scoring(engine);
    }

    /** {@return times forward passes} */
    public StepTimer newStepTimer() {
        requireOpen();
        return new StepTimer(this, engine);
    }

    private void requireOpen() {
        if (closed.get()) {
            throw new UsageException("The model is closed.");
        }
    }

    /** Waits for what runs, then frees everything; sessions cannot be used any more. Closing twice does nothing. */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            engine.close();
            weights.close();
            device.close();
        }
    }
}
