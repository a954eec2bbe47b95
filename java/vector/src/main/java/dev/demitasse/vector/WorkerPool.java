package dev.demitasse.vector;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A few threads that wait for work spinning, since the operations of a decode step last microseconds. Work is taken
 * task by task, so a thread that lost its core holds up the others for one task only; a waiting thread that finds
 * nothing for a while yields, and then sleeps.
 */
final class WorkerPool implements AutoCloseable {
    private static final int SPINS = 4_000;
    private static final int YIELDS = 200;

    /** A piece of work. */
    @FunctionalInterface
    interface Task {
        /** Does task {@code index} on thread {@code worker} of the pool. */
        void run(int index, int worker);
    }

    private final Thread[] threads;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger busy = new AtomicInteger();
    private final AtomicInteger asleep = new AtomicInteger();
    private volatile int epoch;
    private volatile boolean closed;
    private volatile @Nullable Throwable failure;
    private Task task = (index, worker) -> {};
    private int tasks;

    /** A pool of {@code size} workers, the caller of {@link #run} among them. */
    WorkerPool(int size) {
        threads = new Thread[size - 1];
        for (int i = 0; i < threads.length; i++) {
            int worker = i + 1;
            threads[i] = Thread.ofPlatform()
                    .name("demitasse-worker-" + worker)
                    .daemon()
                    .start(() -> loop(worker));
        }
    }

    /** Workers, the caller included. */
    int size() {
        return threads.length + 1;
    }

    /** Runs tasks 0 … count - 1, each once, and returns when all are done. */
    @SuppressWarnings("NonAtomicVolatileUpdate") // only the one caller changes the epoch
    void run(int count, Task work) {
        if (threads.length == 0 || count <= 1) {
            for (int index = 0; index < count; index++) {
                work.run(index, 0);
            }
            return;
        }
        task = work;
        tasks = count;
        next.set(0);
        busy.set(threads.length);
        epoch++; // publishes the fields above
        if (asleep.get() > 0) {
            for (Thread thread : threads) {
                LockSupport.unpark(thread);
            }
        }
        takeTasks(0);
        for (int spins = 0; busy.get() > 0; spins++) {
            relax(spins);
        }
        Throwable failed = failure;
        if (failed != null) {
            failure = null;
            throw new IllegalStateException("a worker failed: " + failed, failed);
        }
    }

    private void takeTasks(int worker) {
        try {
            for (int index = next.getAndIncrement(); index < tasks; index = next.getAndIncrement()) {
                task.run(index, worker);
            }
        } catch (Throwable e) {
            next.set(Integer.MAX_VALUE / 2);
            failure = e;
        }
    }

    private void loop(int worker) {
        int seen = 0;
        while (true) {
            for (int spins = 0; epoch == seen && !closed; spins++) {
                if (spins > SPINS + YIELDS) {
                    sleep(seen);
                } else {
                    relax(spins);
                }
            }
            if (closed) {
                return;
            }
            seen = epoch;
            takeTasks(worker);
            busy.decrementAndGet();
        }
    }

    private void sleep(int seen) {
        asleep.incrementAndGet();
        if (epoch == seen && !closed) {
            LockSupport.park(this);
        }
        asleep.decrementAndGet();
    }

    @SuppressWarnings("ThreadPriorityCheck") // yielding lets another process have the core; nothing depends on it
    private static void relax(int spins) {
        if (spins < SPINS) {
            Thread.onSpinWait();
        } else {
            Thread.yield();
        }
    }

    @Override
    public void close() {
        closed = true;
        for (Thread thread : threads) {
            LockSupport.unpark(thread);
        }
        for (Thread thread : threads) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }
}
