package dev.demitasse;

import dev.demitasse.exception.UsageException;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.Spliterators;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;
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
        Call call = new Call("a stream() of an answer that was not read to its end; close it");
        Thread worker = Thread.ofVirtual().name("demitasse-stream").unstarted(() -> {
            Throwable failure = null;
            try {
                session.chat(call, message, options, text -> queue.add(new Piece(text, null)));
            } catch (RuntimeException | Error e) {
                failure = e;
            }
            queue.add(new Piece(null, failure));
        });
        Iterator<String> pieces = new PieceIterator(queue, worker, call);
        return StreamSupport.stream(Spliterators.spliteratorUnknownSize(pieces, 0), false)
                .onClose(() -> {
                    call.cancel();
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
        private final Call call;
        private @Nullable Piece next;

        PieceIterator(BlockingQueue<Piece> queue, Thread worker, Call call) {
            this.queue = queue;
            this.worker = worker;
            this.call = call;
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
                    call.cancel();
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
            Answer answer = new Answer(Objects.requireNonNull(subscriber, "subscriber"));
            Thread.ofVirtual().name("demitasse-publisher").start(() -> answer.run(session, message, options));
        };
    }

    /**
     * One subscriber's answer: generated no further than it asks for, and ended when it, the session or a deadline ends
     * it.
     */
    private static final class Answer implements Flow.Subscription {
        private final Flow.Subscriber<? super String> subscriber;
        private final Call call =
                new Call("a publisher() of an answer whose subscriber has not taken all of it; cancel it");
        private final AtomicLong demand = new AtomicLong();
        private volatile boolean unsubscribed;
        private volatile @Nullable IllegalArgumentException refusal;

        Answer(Flow.Subscriber<? super String> subscriber) {
            this.subscriber = subscriber;
        }

        void run(Session session, String message, GenerationOptions options) {
            Throwable failure = null;
            try {
                subscriber.onSubscribe(this);
                session.chat(call, message, options, this::deliver);
                failure = refusal;
            } catch (RuntimeException | Error e) {
                failure = e;
            }
            if (failure != null) {
                subscriber.onError(failure);
            } else if (!unsubscribed) {
                subscriber.onComplete();
            }
        }

        private void deliver(String text) {
            while (demand.get() == 0 && call.ending() == null) {
                call.sleep();
            }
            if (demand.get() > 0 && !unsubscribed) {
                demand.updateAndGet(n -> n == Long.MAX_VALUE ? n : n - 1);
                subscriber.onNext(text);
            }
        }

        @Override
        public void request(long count) {
            if (count <= 0) {
                refusal =
                        new IllegalArgumentException("A subscriber asked for " + count + " items; ask for at least 1.");
                call.cancel();
                return;
            }
            demand.updateAndGet(n -> n + count < 0 ? Long.MAX_VALUE : n + count);
            call.wake();
        }

        @Override
        public void cancel() {
            unsubscribed = true;
            call.cancel();
        }
    }
}
