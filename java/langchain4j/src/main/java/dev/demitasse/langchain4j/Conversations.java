package dev.demitasse.langchain4j;

import dev.demitasse.AnswerListener;
import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.Session;
import dev.demitasse.chat.Message;
import dev.demitasse.chat.ToolChoice;
import dev.demitasse.exception.UsageException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Answers requests, each of which brings its whole conversation. The session of the last answers is kept, so that a
 * further turn of the same conversation computes only what is new.
 */
final class Conversations implements AutoCloseable {
    private final Model model;
    private final GenerationOptions options;
    private final int kept;
    private final AnswerFormats formats = new AnswerFormats();
    private final Deque<Session> idle = new ArrayDeque<>(); // the one that was used last first; guarded by this
    private boolean closed; // guarded by this

    /** The model's name in answers: that of its architecture. */
    String modelName() {
        return model.architecture();
    }

    /** Keeps so many sessions. */
    Conversations(Model model, GenerationOptions options, int kept) {
        this.model = model;
        this.options = options;
        this.kept = kept;
    }

    /** An answer that may be cancelled, by any thread and at any time; only itself ends, and no later one. */
    static final class Ticket {
        private @Nullable Session session; // while it answers
        private boolean cancelled;

        synchronized boolean isCancelled() {
            return cancelled;
        }

        synchronized void cancel() {
            cancelled = true;
            if (session != null) {
                session.cancel();
            }
        }

        /** Whether it is to begin. */
        synchronized boolean begin(Session answering) {
            session = answering;
            return !cancelled;
        }

        synchronized void end() {
            session = null;
        }
    }

    /** A request in Demitasse's words. */
    record Question(List<Message> messages, GenerationOptions options) {}

    /**
     * Reads a request.
     *
     * @throws UnsupportedFeatureException where it asks for what is not known
     * @throws UsageException where there is no message
     */
    Question read(ChatRequest request) {
        List<Message> messages = Requests.messages(request.messages());
        GenerationOptions wanted = Requests.options(request, options, formats);
        if (messages.isEmpty()) {
            throw new UsageException("A request has no messages; there is nothing to answer.");
        }
        if (!wanted.tools().isEmpty() && !model.knowsTools()) {
            boolean required = wanted.toolChoice() == ToolChoice.REQUIRED;
            throw new UnsupportedFeatureException((required ? "ToolChoice.REQUIRED and " : "")
                    + "tools are not supported by the model's chat template, or it has them"
                    + " called in a way that is not known. Ask without tools, or give another template.");
        }
        return new Question(messages, wanted);
    }

    /**
     * Answers a question; null where it was cancelled before it began.
     *
     * @throws UsageException where this is closed
     */
    @Nullable
    Generation answer(Question question, AnswerListener listener, Ticket ticket) {
        List<Message> messages = question.messages;
        Session session = take(messages);
        boolean whole = false;
        try {
            session.history(messages.subList(0, messages.size() - 1));
            Generation answer = ticket.begin(session)
                    ? session.chat(List.of(messages.getLast()), question.options, listener)
                    : null;
            whole = true;
            return answer;
        } finally {
            ticket.end();
            giveBack(session, whole);
        }
    }

    /** The session whose whole conversation goes on; else a new one, or the one that was used longest ago. */
    private synchronized Session take(List<Message> messages) {
        if (closed) {
            throw new UsageException("The chat model is closed.");
        }
        for (Session session : idle) {
            List<Message> history = session.history();
            if (common(history, messages) == history.size()) {
                idle.remove(session);
                return session;
            }
        }
        return idle.size() < kept || idle.isEmpty() ? model.newSession() : idle.removeLast();
    }

    private static int common(List<Message> first, List<Message> second) {
        int count = 0;
        while (count < Math.min(first.size(), second.size()) && first.get(count).equals(second.get(count))) {
            count++;
        }
        return count;
    }

    private void giveBack(Session session, boolean whole) {
        Session dropped = session;
        synchronized (this) {
            if (whole && !closed) {
                idle.addFirst(session);
                dropped = idle.size() > kept ? idle.removeLast() : null;
            }
        }
        if (dropped != null) {
            dropped.close();
        }
    }

    /** Closes the sessions that are kept, and others when they have answered; the model stays open. */
    @Override
    public synchronized void close() {
        closed = true;
        idle.forEach(Session::close);
        idle.clear();
    }
}
