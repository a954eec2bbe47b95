package dev.demitasse;

import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.FinishReason;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.tokenizer.TokenDecoder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One conversation. It keeps the keys and values of what was said, so a further turn costs only its new tokens. A session is
 * used by one thread at a time: a second one that calls meanwhile gets a {@link UsageException}. {@link #cancel} may be called
 * by any thread.
 */
public final class Session implements AutoCloseable {
    private final Model model;
    private final Engine engine;
    private final Sequence sequence = new Sequence();
    private final List<Message> history = new ArrayList<>();
    private final AtomicReference<@Nullable Thread> user = new AtomicReference<>();
    private volatile boolean cancelled;
    private volatile boolean closed;

    Session(Model model, Engine engine) {
        this.model = model;
        this.engine = engine;
    }

    /** {@link #chat(String, GenerationOptions, Consumer)} with the default options and no listener. */
    public Generation chat(String message) {
        return chat(message, GenerationOptions.DEFAULT, text -> {});
    }

    /**
     * Adds a person's message to the conversation and answers it by the model's chat template.
     *
     * @param listener receives the answer's text piece by piece, on the calling thread
     * @throws ContextFullException where the conversation does not fit; it is then as it was before the call
     */
    public Generation chat(String message, GenerationOptions options, Consumer<String> listener) {
        return exclusively(() -> {
            List<Message> messages = new ArrayList<>(history);
            messages.add(Message.user(message));
            Generation answer = run(model.chatFormat().encode(messages), options, listener);
            messages.add(Message.assistant(answer.text()));
            history.clear();
            history.addAll(messages);
            return answer;
        });
    }

    /** Continues a text as it stands; a begin-of-text token is added where the model's file asks for one. */
    public Generation generate(String prompt, GenerationOptions options, Consumer<String> listener) {
        return generate(model.tokenizer().encodePrompt(prompt, false), options, listener);
    }

    /** Continues tokens. */
    public Generation generate(int[] prompt, GenerationOptions options, Consumer<String> listener) {
        int[] tokens = prompt.clone();
        return exclusively(() -> run(tokens, options, listener));
    }

    /** A lazy stream of an answer's text; closing it early cancels the answer. The session is busy until it ends. */
    public Stream<String> stream(String message, GenerationOptions options) {
        return TextStreams.stream(this, message, options);
    }

    /** A publisher of an answer's text for one subscriber; each subscription asks anew, on a thread of its own. */
    public Flow.Publisher<String> publisher(String message, GenerationOptions options) {
        return TextStreams.publisher(this, message, options);
    }

    private Generation run(int[] prompt, GenerationOptions options, Consumer<String> listener) {
        cancelled = false;
        long begin = System.nanoTime();
        long firstToken = begin;
        engine.begin(
                sequence,
                prompt,
                options.sampling(),
                options.maximumTokens(),
                options.logprobs(),
                !options.ignoreEnd());
        TokenDecoder decoder = model.tokenizer().decoder();
        StopFilter filter = new StopFilter(options.stop());
        StringBuilder text = new StringBuilder();
        List<Integer> tokens = new ArrayList<>();
        List<List<Logprobs.Entry>> top = new ArrayList<>();
        FinishReason finish = null;
        try {
            while (finish == null) {
                Engine.Progress progress = engine.await(sequence, tokens.size());
                firstToken = tokens.isEmpty() ? System.nanoTime() : firstToken;
                finish = progress.finish();
                for (Sequence.Step step : progress.steps()) {
                    tokens.add(step.token());
                    top.add(step.top());
                    emit(filter.append(decoder.append(step.token())), text, listener);
                    if (filter.stopped()) {
                        finish = FinishReason.STOP;
                        break;
                    }
                }
                if (cancelled && finish == null) {
                    finish = FinishReason.CANCELLED;
                }
            }
        } finally {
            engine.end(sequence, FinishReason.CANCELLED);
        }
        long end = System.nanoTime();
        if (!filter.stopped()) {
            emit(filter.append(decoder.finish()) + filter.finish(), text, listener);
        }
        return new Generation(
                Arrays.stream(prompt).boxed().toList(),
                List.copyOf(tokens),
                text.toString(),
                finish,
                options.logprobs() == 0 ? List.of() : List.copyOf(top),
                Duration.ofNanos(firstToken - begin),
                Duration.ofNanos(end - firstToken));
    }

    private static void emit(String piece, StringBuilder text, Consumer<String> listener) {
        if (!piece.isEmpty()) {
            text.append(piece);
            listener.accept(piece);
        }
    }

    /** Ends the generation that runs, if any, after its current token. */
    public void cancel() {
        cancelled = true;
    }

    /** What was said so far. */
    public List<Message> history() {
        return exclusively(() -> List.copyOf(history));
    }

    /** Replaces the conversation; what its cache and the new one have in common is kept. */
    public void history(List<Message> messages) {
        exclusively(() -> {
            history.clear();
            history.addAll(messages);
            return history;
        });
    }

    /** Tokens of the conversation as the cache holds it. */
    public int length() {
        return sequence.length();
    }

    /** The model. */
    public Model model() {
        return model;
    }

    private interface Action<T> {
        T run();
    }

    private <T> T exclusively(Action<T> action) {
        if (closed) {
            throw new UsageException("The session is closed.");
        }
        Thread current = Thread.currentThread();
        Thread other = user.compareAndExchange(null, current);
        if (other != null) {
            throw new UsageException("The session is in use by thread \"" + other.getName()
                    + "\"; open one session for each conversation.");
        }
        try {
            return action.run();
        } finally {
            user.set(null);
        }
    }

    /** Cancels what runs and gives the cache's pages back. Closing twice does nothing. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            cancel();
            engine.release(sequence);
        }
    }
}
