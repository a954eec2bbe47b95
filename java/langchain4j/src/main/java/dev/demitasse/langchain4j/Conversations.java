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
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Answers requests, each of which brings its whole conversation, in a session of its own: what the model has computed
 * of earlier turns it has cached, and begins with.
 */
final class Conversations {
    private final Model model;
    private final GenerationOptions options;
    private final String salt;

    /** With sessions of that salt. */
    Conversations(Model model, GenerationOptions options, String salt) {
        this.model = model;
        this.options = options;
        this.salt = salt;
    }

    /** The model's name in answers: that of its architecture. */
    String modelName() {
        return model.architecture();
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
        GenerationOptions wanted = Requests.options(request, options);
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

    /** Answers a question; null where it was cancelled before it began. */
    @Nullable
    Generation answer(Question question, AnswerListener listener, Ticket ticket) {
        try (Session session = model.newSession(salt)) {
            if (question.messages.getFirst().role().equals("system")) {
                session.history(List.of()); // without the catalogue's system message
            }
            return ticket.begin(session) ? session.chat(question.messages, question.options, listener) : null;
        } finally {
            ticket.end();
        }
    }
}
