package dev.demitasse.runtime;

import dev.demitasse.device.Device;
import dev.demitasse.device.KvStore;
import dev.demitasse.kv.KvShape;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Hands out the pages of a device's key-value store. Not thread-safe: its owner serializes.
 *
 * <p>A page holds {@link KvShape#PAGE} positions of one sequence in all layers, so sequences of any length share one
 * store without fragmentation (Kwon et al., "Efficient Memory Management for Large Language Model Serving with
 * PagedAttention", 2023).
 */
public final class KvCache implements AutoCloseable {
    private final KvStore store;
    private final Deque<Integer> free = new ArrayDeque<>();
    private final Deque<Integer> first = new ArrayDeque<>(); // of `free`, those that may be a table's first
    private final boolean numbered;

    /** A cache on {@code device}. */
    public KvCache(Device device, KvShape shape) {
        this(device, shape, 0);
    }

    /**
     * A cache on {@code device} whose tables' first pages have numbers below {@code slots}, which so number the
     * sequences that have pages; where that is 0 any page may be the first.
     */
    public KvCache(Device device, KvShape shape, int slots) {
        numbered = slots > 0;
        store = device.allocateKv(shape);
        for (int page = 0; page < shape.pages(); page++) {
            (page < slots ? first : free).add(page);
        }
    }

    /** Pages that hold {@code positions} positions. */
    public static int pagesFor(int positions) {
        return (positions + KvShape.PAGE - 1) / KvShape.PAGE;
    }

    /** The device's memory. */
    public KvStore store() {
        return store;
    }

    /** Pages that nobody has, first pages of sequences to come among them. */
    public int freePages() {
        return free.size() + first.size();
    }

    /** Whether a table without pages may get one, as far as first pages are concerned. */
    boolean hasFirstPage() {
        return !numbered || !first.isEmpty();
    }

    /**
     * Makes room in {@code table} for {@code positions} positions in all; false, and nothing changed, where none is
     * left.
     */
    public boolean reserve(PageTable table, int positions) {
        int needed = pagesFor(positions) - table.size();
        int firsts = numbered && table.size() == 0 && needed > 0 ? 1 : 0;
        if (firsts > first.size() || needed - firsts > free.size()) {
            return false;
        }
        for (int i = 0; i < needed; i++) {
            table.add((i < firsts ? first : free).pop());
        }
        return true;
    }

    /** Takes back every page of {@code table} beyond those that hold {@code positions} positions. */
    public void release(PageTable table, int positions) {
        int keep = pagesFor(positions);
        while (table.size() > keep) {
            int page = table.removeLast();
            (numbered && table.size() == 0 ? first : free).push(page);
        }
    }

    @Override
    public void close() {
        store.close();
    }
}
