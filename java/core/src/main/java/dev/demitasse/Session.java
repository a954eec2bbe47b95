package dev.demitasse;

import dev.demitasse.chat.Message;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.Constraint;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.Sampler;
import dev.demitasse.tokenizer.Vocabulary;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One conversation. It keeps the keys and values of what was said, so a further turn costs only its new tokens. A
 * session is used by one thread at a time: a second one that calls meanwhile gets a {@link UsageException}. {@link
 * #cancel} and {@link #close} may be called by any thread, also by a listener.
 *
 * <p>A thread that is interrupted gets its answer as far as it came, with {@link FinishReason#CANCELLED} and its
 * interrupt flag set.
 */
public final class Session implements AutoCloseable {
    private final Model model;
    private final Engine engine;
    private final Sequence sequence;
    private final ContextWindow window;
    private final List<Message> history = new ArrayList<>();
    private final AtomicReference<@Nullable Call> current = new AtomicReference<>();
    private volatile boolean used;
    private volatile boolean cancelledUnused;
    private volatile boolean closed;

    Session(Model model, Engine engine, Sequence sequence) {
        this.model = model;
        this.engine = engine;
        this.sequence = sequence;
        window = new ContextWindow(engine.contextLength());
    }

    /**
     * {@return {@link #chat(String, GenerationOptions, Consumer)} with the model's own options ({@link
     * Model#generationOptions}) and no listener}
     *
     * @param message what a person says
     */
    public Generation chat(String message) {
        return chat(message, model.generationOptions(), text -> {});
    }

    /**
     * Adds a person's message to the conversation and answers it by the model's chat template.
     *
     * @param message what a person says
     * @param options how the answer is made
     * @param listener receives the answer's text piece by piece, on the calling thread
     * @return the answer
     * @throws ContextFullException where the conversation does not fit; it is then as it was before the call
     */
    public Generation chat(String message, GenerationOptions options, Consumer<String> listener) {
        return chat(Call.ofThread(), message, options, listener);
    }

    /**
     * Adds messages to the conversation and answers them by the model's chat template: a question, or the results of
     * the tools that the last answer called ({@link Generation#toolCalls}).
     *
     * @param messages what is said after the conversation so far, in order
     * @param options with the tools that the answer may call ({@link GenerationOptions#withTools})
     * @param listener receives the answer's parts, on the calling thread
     * @return the answer
     * @throws ContextFullException where the conversation does not fit; it is then as it was before the call
     * @throws dev.demitasse.exception.UnsupportedModelException where there are tools, and the template knows none
     */
    public Generation chat(List<Message> messages, GenerationOptions options, AnswerListener listener) {
        return chat(Call.ofThread(), messages, options, listener);
    }

    Generation chat(Call call, String message, GenerationOptions options, Consumer<String> listener) {
        Objects.requireNonNull(message, "message");
        Objects.requireNonNull(listener, "listener");
        return chat(call, List.of(Message.user(message)), options, listener::accept);
    }

    private Generation chat(Call call, List<Message> added, GenerationOptions options, AnswerListener listener) {
        List<Message> further = List.copyOf(added);
        Objects.requireNonNull(options, "options");
        Objects.requireNonNull(listener, "listener");
        return exclusively(call, () -> {
            List<Message> messages = new ArrayList<>(history);
            messages.addAll(further);
            int dropped = window.dropped();
            Generation answer;
            try {
                ChatFormat.Prompt prompt = window.fit(model.chatFormat(), messages, options);
                answer = options.requiresCall()
                        ? callTool(call, prompt, messages, options, listener)
                        : answer(call, prompt, messages, options, listener);
            } catch (RuntimeException | Error e) {
                window.dropped(dropped);
                throw e;
            }
            if (options.requiresCall() && answer.toolCalls().isEmpty()) {
                window.dropped(dropped); // it was cut off: nothing was said, and templates refuse an empty answer
                return answer;
            }
            messages.add(Message.assistant(answer.text(), answer.thinking(), answer.toolCalls()));
            history.clear();
            history.addAll(messages);
            return answer;
        });
    }

    private Generation answer(
            Call call,
            ChatFormat.Prompt prompt,
            List<Message> messages,
            GenerationOptions options,
            AnswerListener listener) {
        ChatFormat format = model.chatFormat();
        AnswerReader reader = new AnswerReader(
                model.tokenizer(),
                options.stop(),
                listener,
                sink -> options.grammar() != null ? null : format.parser(prompt, messages, options.tools(), sink));
        return run(call, prompt.tokens(), options, reader);
    }

    private Generation callTool(
            Call call,
            ChatFormat.Prompt prompt,
            List<Message> messages,
            GenerationOptions options,
            AnswerListener listener) {
        return told(call, prompt.tokens().length, options, () -> {
            RequiredCall required = new RequiredCall(
                    model.chatFormat(),
                    options,
                    (tokens, asked, next) -> write(
                            call,
                            tokens,
                            asked,
                            new AnswerReader(model.tokenizer(), List.of(), text -> {}, sink -> null),
                            next));
            Generation answer = required.run(prompt, messages);
            answer.toolCalls().forEach(listener::toolCall);
            return answer;
        });
    }

    /**
     * {@return {@link #extract(Class, String, GenerationOptions)} with the most likely values}
     *
     * @param <T> the type of the record
     * @param type the record
     * @param text what its values are to be found in
     */
    public <T> T extract(Class<T> type, String text) {
        return extract(type, text, Extraction.OPTIONS);
    }

    /**
     * Asks what a text says, as a record: a turn of the conversation, whose answer is an object of JSON with a member
     * for each component. Components may be text, numbers, booleans, enums, dates and times, records, and optional
     * values, lists, sets, arrays and maps by names of those. Those that are {@code Optional}, or annotated as
     * {@code Nullable}, may be missing from the text. {@link dev.demitasse.chat.Description} tells the model what one
     * means.
     *
     * @param <T> the type of the record
     * @param type the record
     * @param text what its values are to be found in
     * @param options how the answer is made
     * @return the record
     * @throws UsageException where the type is no record, or has other components, or refuses the values
     * @throws dev.demitasse.exception.IncompleteAnswerException where the answer ended before it was whole
     */
    public <T> T extract(Class<T> type, String text, GenerationOptions options) {
        return Extraction.extract(this, type, text, options);
    }

    /**
     * {@return {@link #choose(String, List, GenerationOptions)}, the most likely}
     *
     * @param question with all that is needed to decide
     * @param choices one of them is the answer
     */
    public String choose(String question, List<String> choices) {
        return choose(question, choices, Extraction.OPTIONS);
    }

    /**
     * Asks a question whose answer is one of some texts: a turn of the conversation, as {@link #chat(String)}.
     *
     * @param question with all that is needed to decide
     * @param choices one of them is the answer
     * @param options how the answer is made
     * @return the text that was chosen
     * @throws UsageException where there are no choices, or one is empty
     * @throws dev.demitasse.exception.IncompleteAnswerException where the answer ended before it was whole
     */
    public String choose(String question, List<String> choices, GenerationOptions options) {
        return Extraction.choose(this, question, choices, options);
    }

    /**
     * Continues a text as it stands; a begin-of-text token is added where the model's file asks for one.
     *
     * @param prompt the text to go on with
     * @param options how the answer is made
     * @param listener receives the answer's text piece by piece, on the calling thread
     * @return what was generated
     */
    public Generation generate(String prompt, GenerationOptions options, Consumer<String> listener) {
        return generate(model.tokenizer().encodePrompt(prompt, false), options, listener);
    }

    /**
     * Continues tokens.
     *
     * @param prompt the tokens to go on with
     * @param options how the answer is made
     * @param listener receives the answer's text piece by piece, on the calling thread
     * @return what was generated
     */
    public Generation generate(int[] prompt, GenerationOptions options, Consumer<String> listener) {
        Call call = Call.ofThread();
        Objects.requireNonNull(options, "options");
        Objects.requireNonNull(listener, "listener");
        int[] tokens = prompt.clone();
        AnswerReader reader = new AnswerReader(model.tokenizer(), options.stop(), listener::accept, sink -> null);
        boolean fits = options.contextPolicy() == ContextPolicy.FAIL || tokens.length < model.contextLength();
        int[] read = fits ? tokens : window.slide(tokens);
        return exclusively(call, () -> run(call, read, options, reader));
    }

    /**
     * {@return a lazy stream of an answer's text; closing it early cancels the answer} The session is busy until it
     * ends.
     *
     * @param message what a person says
     * @param options how the answer is made
     */
    public Stream<String> stream(String message, GenerationOptions options) {
        return TextStreams.stream(this, message, options);
    }

    /**
     * {@return a publisher of an answer's text for one subscriber; each subscription asks anew, on a thread of its own}
     *
     * @param message what a person says
     * @param options how the answer is made
     */
    public Flow.Publisher<String> publisher(String message, GenerationOptions options) {
        return TextStreams.publisher(this, message, options);
    }

    private Generation run(Call call, int[] prompt, GenerationOptions options, AnswerReader reader) {
        return told(call, prompt.length, options, () -> write(call, prompt, options, reader, Vocabulary.NONE));
    }

    private Generation write(Call call, int[] prompt, GenerationOptions options, AnswerReader reader, int next) {
        Constraint constraint = model.constraint(options.grammar());
        int end = model.tokenizer().vocabulary().eos();
        if (constraint != null && next != Vocabulary.NONE && end != Vocabulary.NONE) {
            constraint = new EndingConstraint(constraint, next, end);
        }
        Sampler sampler = new Sampler(options.sampling(), constraint);
        return new Answering(engine, sequence, options, sampler, reader, call).run(prompt, window);
    }

    /** Tells an answer to those who listen to the model and to the flight recorder. */
    private Generation told(Call call, int prompt, GenerationOptions options, Supplier<Generation> maker) {
        call.deadline(options.deadline());
        if (!used && cancelledUnused) {
            call.cancel();
        }
        used = true;
        AnswerEvent event = new AnswerEvent();
        event.begin();
        Generation answer = null;
        try {
            answer = maker.get();
        } finally {
            event.complete(model, call.number, prompt, answer);
        }
        model.answered(answer);
        return answer;
    }

    /**
     * Ends the answer that runs after its current token; later ones are not concerned. Before a session's first call it
     * is meant for that one: whoever cancels at the moment in which a call begins cannot know whether it has begun.
     */
    public void cancel() {
        if (!used) {
            cancelledUnused = true;
        }
        Call call = current.get(); // read last: one that began meanwhile may not have seen the mark
        if (call != null) {
            call.cancel();
        }
    }

    /** {@return what was said so far} */
    public List<Message> history() {
        return exclusively(Call.ofThread(), () -> List.copyOf(history));
    }

    /**
     * Replaces the conversation; what its cache and the new one have in common is kept.
     *
     * @param messages the conversation from its beginning on
     */
    public void history(List<Message> messages) {
        List<Message> copy = List.copyOf(messages);
        exclusively(Call.ofThread(), () -> {
            history.clear();
            history.addAll(copy);
            window.reset();
            return history;
        });
    }

    /**
     * Opens a session that goes on from here, too: what this one has cached is shared, and not computed again, until
     * either goes on. So several answers of one long prompt, or several questions about one document, cost it once.
     *
     * @return a session with the same conversation, which the caller closes
     * @throws UsageException where this session is in use, or closed
     */
    public Session fork() {
        return exclusively(Call.ofThread(), () -> {
            Session fork = new Session(model, engine, new Sequence(sequence.salt()));
            fork.history.addAll(history);
            fork.window.dropped(window.dropped());
            engine.fork(sequence, fork.sequence);
            return fork;
        });
    }

    /**
     * Saves the session: what was said, and what is cached of it, so that {@link Model#restoreSession} goes on without
     * computing it again. The file has what was said in plain text, which only its
     * owner may read where files have owners, and may be as large as the session's share of the cache. It is written
     * beside its place and renamed: where that fails, a file that was there stays as it is.
     *
     * @param path the file, which is replaced
     * @throws UsageException where the session is in use, or closed, or the file cannot be written
     */
    public void save(Path path) {
        exclusively(Call.ofThread(), () -> {
            SessionFile.Conversation conversation =
                    new SessionFile.Conversation(model.fingerprint(), List.copyOf(history), window.dropped());
            new SessionFile(path).write(conversation, engine.snapshots(), sequence);
            return path;
        });
    }

    /** Makes a new session what a file has. */
    void restore(Path path) {
        SessionFile.Conversation saved = new SessionFile(path).read(model.fingerprint(), engine.snapshots(), sequence);
        history.addAll(saved.history());
        window.dropped(saved.dropped());
    }

    /** {@return tokens of the conversation as the cache holds it} */
    public int length() {
        return sequence.length();
    }

    /** {@return the model} */
    public Model model() {
        return model;
    }

    private <T> T exclusively(Call call, Supplier<T> action) {
        call.begin();
        Call other = current.compareAndExchange(null, call);
        if (other != null) {
            throw new UsageException(
                    "The session is in use by " + other.user() + "; open one session for each conversation.");
        }
        try {
            if (closed) {
                throw new UsageException("The session is closed.");
            }
            return action.get();
        } finally {
            current.set(null);
        }
    }

    /**
     * Ends the answer that runs after its current token. What is cached is there for sessions of the same salt, until
     * others need its pages. Closing twice does nothing.
     */
    @Override
    public void close() {
        closed = true;
        Call call = current.get();
        if (call != null) {
            call.cancel();
        }
        engine.close(sequence);
    }
}
