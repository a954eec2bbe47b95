package dev.demitasse;

import dev.demitasse.sampling.FinishReason;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** One use of a session, from its call to its return: what cancels it belongs to it, and to no earlier or later one. */
final class Call {
    private static final AtomicLong CALLS = new AtomicLong();

    /** Tells it from all others in this process. */
    final long number = CALLS.incrementAndGet();

    private final String user;
    private volatile @Nullable Thread thread;
    private volatile boolean cancelled;
    private long begin;
    private long nanoseconds = Long.MAX_VALUE;

    /** A call; {@code user} is for the message to a second one: "thread …", or what else holds the session. */
    Call(String user) {
        this.user = user;
    }

    static Call ofThread() {
        Thread current = Thread.currentThread();
        return new Call((current.isVirtual() ? "virtual thread" : "thread")
                + (current.getName().isEmpty() ? "" : " \"" + current.getName() + "\""));
    }

    String user() {
        return user;
    }

    /** The calling thread takes it up. */
    void begin() {
        thread = Thread.currentThread();
        begin = System.nanoTime();
    }

    /** It is to end that long after it began. */
    void deadline(@Nullable Duration time) {
        nanoseconds = time == null ? Long.MAX_VALUE : saturatedNanos(time);
    }

    private static long saturatedNanos(Duration time) {
        return time.compareTo(Duration.ofNanos(Long.MAX_VALUE)) > 0 ? Long.MAX_VALUE : time.toNanos();
    }

    /** Ends it after the current token. Any thread may ask for that. */
    void cancel() {
        cancelled = true;
        LockSupport.unpark(thread);
    }

    /** Why it is to end now; null while it is to go on. The thread's interrupt flag is left as it is. */
    @Nullable
    FinishReason ending() {
        if (cancelled || Thread.currentThread().isInterrupted()) {
            return FinishReason.CANCELLED;
        }
        return System.nanoTime() - begin >= nanoseconds ? FinishReason.DEADLINE : null;
    }

    /** Sleeps until another thread wakes this one, for a deadline at most, or for no reason. */
    void sleep() {
        if (nanoseconds == Long.MAX_VALUE) {
            LockSupport.park(this);
            return;
        }
        LockSupport.parkNanos(this, Math.max(1, nanoseconds - (System.nanoTime() - begin)));
    }

    /** Wakes its thread where that sleeps. */
    void wake() {
        LockSupport.unpark(thread);
    }
}
