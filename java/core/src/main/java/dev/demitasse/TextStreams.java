package dev.demitasse;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterators;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.SubmissionPublisher;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/** Answers as streams: the callback of {@link Session#chat} on a virtual thread, handed over through a queue. */
final class TextStreams {
    private TextStreams() {}

    /** One piece of text, or the end with what went wrong, if anything did. */
    private record Piece(@Nullable String text, @Nullable Throwable failure) {}

    static Stream<String> stream(Session session, String message, GenerationOptions options) {
        BlockingQueue<Piece> queue = new LinkedBlockingQueue<>();
        Thread worker = Thread.ofVirtual().unstarted(() -> {
            Throwable failure = null;
            try {
                session.chat(message, options, text -> queue.add(new Piece(text, null)));
            } catch (RuntimeException | Error e) {
                failure = e;
            }
            queue.add(new Piece(null, failure));
        });
        Iterator<String> pieces = new PieceIterator(queue, worker);
        return StreamSupport.stream(Spliterators.spliteratorUnknownSize(pieces, 0), false)
                .onClose(() -> {
                    session.cancel();
                    if (worker.getState() != Thread.State.NEW) {
                        join(worker);
                    }
                });
    }

    private static void join(Thread worker) {
        try {
            worker.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static final class PieceIterator implements Iterator<String> {
        private final BlockingQueue<Piece> queue;
        private final Thread worker;
        private @Nullable Piece next;

        PieceIterator(BlockingQueue<Piece> queue, Thread worker) {
            this.queue = queue;
            this.worker = worker;
        }

        @Override
        public boolean hasNext() {
            if (next == null) {
                if (worker.getState() == Thread.State.NEW) {
                    worker.start();
                }
                try {
                    next = queue.take();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new UsageException("The thread was interrupted while it waited for a token.", e);
                }
                if (next.text() == null) {
                    join(worker);
                }
                switch (next.failure()) {
                    case null -> {}
                    case RuntimeException e -> throw e;
                    case Error e -> throw e;
                    case Throwable e -> throw new IllegalStateException(e);
                }
            }
            return next.text() != null;
        }

        @Override
        public String next() {
            Piece piece = hasNext() ? next : null;
            if (piece == null || piece.text() == null) {
                throw new NoSuchElementException();
            }
            next = null;
            return piece.text();
        }
    }

    static Flow.Publisher<String> publisher(Session session, String message, GenerationOptions options) {
        return subscriber -> {
            SubmissionPublisher<String> publisher = new SubmissionPublisher<>();
            publisher.subscribe(subscriber);
            Thread.ofVirtual().start(() -> {
                try {
                    session.chat(message, options, text -> {
                        if (publisher.hasSubscribers()) {
                            publisher.submit(text);
                        } else {
                            session.cancel();
                        }
                    });
                    publisher.close();
                } catch (RuntimeException | Error e) {
                    publisher.closeExceptionally(e);
                }
            });
        };
    }
}
