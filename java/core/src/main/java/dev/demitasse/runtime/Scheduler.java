package dev.demitasse.runtime;

import dev.demitasse.ContextFullException;
import dev.demitasse.kv.KvCache;
import java.util.ArrayList;
import java.util.List;

/**
 * Decides who runs next: every sequence that is decoding gets its one row, and what is left of the batch goes to prompts in
 * the order in which they came, in chunks. So long prompts do not hold up others' tokens (continuous batching with chunked
 * prefill).
 */
final class Scheduler {
    private final KvCache cache;
    private final int maximumRows;
    private final int promptChunk;
    private final List<Sequence> running = new ArrayList<>();

    Scheduler(KvCache cache, int maximumRows, int promptChunk) {
        this.cache = cache;
        this.maximumRows = maximumRows;
        this.promptChunk = promptChunk;
    }

    void add(Sequence sequence) {
        running.add(sequence);
    }

    void remove(Sequence sequence) {
        running.remove(sequence);
    }

    List<Sequence> running() {
        return running;
    }

    /** The next batch, or an empty one where nobody can go on. */
    Batch next() {
        Batch.Builder batch = new Batch.Builder(maximumRows);
        for (Sequence sequence : running) {
            if (sequence.pending() == 1 && batch.free() > 0 && reserve(sequence, 1)) {
                batch.add(sequence, 1);
            }
        }
        for (Sequence sequence : running) {
            int rows = Math.min(Math.min(sequence.pending(), promptChunk), batch.free());
            if (rows > 0 && reserve(sequence, rows)) {
                batch.add(sequence, rows);
            }
        }
        if (batch.isEmpty() && !running.isEmpty()) {
            Sequence last = running.removeLast();
            last.fail(new ContextFullException("The key-value cache has no pages left for " + (running.size() + 1)
                    + " sequences at once; close sessions, or load the model with a larger cache."));
        }
        return batch.build();
    }

    private boolean reserve(Sequence sequence, int rows) {
        return cache.reserve(sequence.pages, sequence.cached() + rows);
    }
}
