package dev.demitasse.runtime;

import dev.demitasse.device.Device;
import dev.demitasse.device.KvStore;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.model.KeptState;
import dev.demitasse.model.Transformer;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.Lock;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Copies what sequences have cached to where it outlives the model, and back. Other sequences are run between the rows.
 * Thread-safe.
 */
public final class Snapshots {
    private final Lock lock;
    private final Runnable requireOpen;
    private final Device device;
    private final Transformer transformer;
    private final KvCache cache;
    private final Scheduler scheduler;
    private final Engine.Limits limits;

    /** It owns nothing of what it is given; all but the limits is guarded by the lock. */
    Snapshots(
            Lock lock,
            Runnable requireOpen,
            Device device,
            Transformer transformer,
            KvCache cache,
            Scheduler scheduler,
            Engine.Limits limits) {
        this.lock = lock;
        this.requireOpen = requireOpen;
        this.device = device;
        this.transformer = transformer;
        this.cache = cache;
        this.scheduler = scheduler;
        this.limits = limits;
    }

    /**
     * What a sequence has cached.
     *
     * @param tokens those that are cached
     * @param promptTokens how many of them the state has seen that is kept of the prompt; 0 where there is none
     * @param followed how many positions the draft block has seen
     */
    public record Cached(int[] tokens, int promptTokens, int followed) {}

    /** Takes what is cached in rows of bytes, one after the other. */
    public interface Sink {
        /** Takes what the rows are of, first. */
        void begin(Cached cached) throws IOException;

        /** Takes the next row. */
        void row(MemorySegment row) throws IOException;
    }

    /** Gives the rows of a {@link Sink} back. */
    @FunctionalInterface
    public interface Source {
        /** Fills the next row; the one behind the last has no bytes. */
        void row(MemorySegment row) throws IOException;
    }

    /** Where a row is copied from or to. */
    @FunctionalInterface
    private interface Place {
        void copy(MemorySegment row);
    }

    /** Makes a row of a place. */
    @FunctionalInterface
    private interface Visitor {
        void visit(long bytes, Place read, Place write) throws IOException;
    }

    /** How rows are made: those of models that agree in it may be exchanged. */
    public String layout() {
        String stores = cache.stores().stream()
                .map(store -> store.layout() + " " + store.shape().type() + " "
                        + store.shape().layers() + "x" + store.shape().kvHeads() + "x"
                        + store.shape().headDim())
                .collect(Collectors.joining(", "));
        return stores + (limits.rotated() ? ", rotated" : "") + ", pages of " + KvShape.PAGE + ", states of "
                + transformer.stateBytes() + " bytes, angles "
                + Integer.toHexString(transformer.config().ropeSignature());
    }

    /** Bytes of all rows. */
    public long bytes(Cached cached) {
        long page = cache.stores().stream().mapToLong(KvStore::pageBytes).sum();
        int states = cached.tokens.length == 0 ? 0 : cached.promptTokens > 0 ? 2 : 1;
        return KvCache.pagesFor(cached.tokens.length) * page + states * transformer.stateBytes();
    }

    /** Copies what a sequence has cached that does not run. */
    public void save(Sequence sequence, Sink sink) throws IOException {
        Cached cached = locked(() -> {
            scheduler.hold(sequence);
            return sequence.snapshot();
        });
        try {
            sink.begin(cached);
            visit(sequence, sequence.stale(), cached, (bytes, read, write) -> {
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment row = arena.allocate(bytes);
                    locked(() -> {
                        if (sequence.closed()) { // its pages may be others' by now
                            throw new UsageException("The session was closed while it was being saved.");
                        }
                        read.copy(row);
                        return row;
                    });
                    sink.row(row);
                }
            });
        } finally {
            letGo(sequence);
        }
    }

    /**
     * Makes a new sequence what another was.
     *
     * @return whether there was room; the sequence has nothing cached otherwise, and no row was read
     */
    public boolean restore(Sequence sequence, Cached cached, Source source) throws IOException {
        int count = cached.tokens.length;
        if (count > limits.contextLength() || !locked(() -> reserve(sequence, count))) {
            return false;
        }
        boolean whole = false;
        try {
            visit(sequence, null, cached, (bytes, read, write) -> {
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment row = arena.allocate(bytes);
                    source.row(row);
                    locked(() -> {
                        write.copy(row);
                        return row;
                    });
                }
            });
            source.row(MemorySegment.NULL);
            locked(() -> {
                device.start(); // what another sequence does may drop what waits
                return sequence;
            });
            sequence.restore(cached);
            whole = true;
        } finally {
            if (!whole) {
                sequence.close(); // so that its pages are given back
            }
            letGo(sequence);
        }
        return true;
    }

    private boolean reserve(Sequence sequence, int positions) {
        if (!scheduler.hasRoom(positions)) {
            return false; // and nobody's pages are taken for nothing
        }
        while (!cache.reserve(sequence.pages, positions)) {
            if (!scheduler.reclaim()) {
                return false;
            }
        }
        scheduler.hold(sequence);
        return true;
    }

    private void visit(Sequence sequence, @Nullable KeptState state, Cached cached, Visitor visitor)
            throws IOException {
        int pages = KvCache.pagesFor(cached.tokens.length);
        for (int i = 0; i < pages; i++) {
            int page = sequence.pages.get(i);
            for (KvStore store : cache.stores()) {
                visitor.visit(store.pageBytes(), row -> store.readPage(page, row), row -> store.writePage(page, row));
            }
        }
        if (pages > 0 && transformer.hasStates()) {
            visit(sequence.pages.get(0), state, visitor);
            if (cached.promptTokens > 0) {
                visit(sequence.pages.get(0), KeptState.PROMPT, visitor);
            }
        }
    }

    private void visit(int slot, @Nullable KeptState state, Visitor visitor) throws IOException {
        visitor.visit(
                transformer.stateBytes(),
                row -> transformer.readState(state, slot, row),
                row -> transformer.writeState(state, slot, row));
    }

    /** What is to be done under the lock. */
    @FunctionalInterface
    private interface Action<T> {
        T run();
    }

    private <T> T locked(Action<T> action) {
        lock.lock();
        try {
            requireOpen.run();
            return action.run();
        } finally {
            lock.unlock();
        }
    }

    private void letGo(Sequence sequence) {
        lock.lock();
        try {
            scheduler.letGo(sequence);
        } finally {
            lock.unlock();
        }
    }
}
