package dev.demitasse.langchain4j;

import dev.demitasse.AnswerListener;
import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.Session;
import dev.demitasse.chat.Message;
import dev.demitasse.exception.UsageException;
import dev.langchain4j.model.chat.request.ChatRequest;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Answers requests, each of which brings its whole conversation. The session of the last answers is kept, so that a
 * further turn of the same conversation computes only what is new.
 */
final class Conversations implements AutoCloseable {
    private final Model model;
    private final GenerationOptions options;
    private final int kept;
    private final Deque<Session> idle = new ArrayDeque<>(); // the one that was used last first; guarded by this

    /** Keeps so many sessions. */
    Conversations(Model model, GenerationOptions options, int kept) {
        this.model = model;
        this.options = options;
        this.kept = kept;
    }

    /**
     * Answers a request.
     *
     * @param begun is told the session before it answers
     */
    Generation answer(ChatRequest request, AnswerListener listener, Consumer<Session> begun) {
        List<Message> messages = Requests.messages(request.messages());
        GenerationOptions wanted = Requests.options(request, options);
        if (messages.isEmpty()) {
            throw new UsageException("A request has no messages; there is nothing to answer.");
        }
        Session session = take(messages);
        boolean whole = false;
        try {
            session.history(messages.subList(0, messages.size() - 1));
            begun.accept(session);
            Generation answer = session.chat(List.of(messages.getLast()), wanted, listener);
            whole = true;
            return answer;
        } finally {
            giveBack(session, whole);
        }
    }

    /** The session whose conversation goes on, or the one that was used longest ago where there is no room for more. */
    private synchronized Session take(List<Message> messages) {
        Session best = null;
        int most = 0;
        for (Session session : idle) {
            int common = common(session.history(), messages);
            if (common > most) {
                most = common;
                best = session;
            }
        }
        if (best != null) {
            idle.remove(best);
            return best;
        }
        return model.newSession();
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
        if (whole) {
            synchronized (this) {
                idle.addFirst(session);
                dropped = idle.size() > kept ? idle.removeLast() : null;
            }
        }
        close(dropped);
    }

    private static void close(@Nullable Session session) {
        if (session != null) {
            session.close();
        }
    }

    /** Closes the sessions that are kept; the model stays open. */
    @Override
    public synchronized void close() {
        idle.forEach(Session::close);
        idle.clear();
    }
}
