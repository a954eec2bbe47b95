package dev.demitasse.runtime;

import dev.demitasse.device.Device;
import dev.demitasse.device.KvStore;
import dev.demitasse.kv.KvShape;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * Hands out the pages of a device's key-value stores. Not thread-safe: its owner serializes.
 *
 * <p>A page holds {@link KvShape#PAGE} positions of one sequence in all layers, so sequences of any length share
 * stores without fragmentation (Kwon et al., "Efficient Memory Management for Large Language Model Serving with
 * PagedAttention", 2023).
 */
public final class KvCache implements AutoCloseable {
    private final List<KvStore> stores = new ArrayList<>();
    private final Deque<Integer> free = new ArrayDeque<>();
    private final Deque<Integer> first = new ArrayDeque<>(); // of `free`, those that may be a table's first
    private final boolean numbered;
    private final long bytes;
    private final int pages;

    /** A cache on {@code device}. */
    public KvCache(Device device, KvShape shape) {
        this(device, List.of(shape), 0);
    }

    /**
     * A cache on {@code device} whose tables' first pages have numbers below {@code slots}, which so number the
     * sequences that have pages; where that is 0 any page may be the first.
     *
     * @param shapes of the stores, all of as many pages: a page has the same number in all
     */
    public KvCache(Device device, List<KvShape> shapes, int slots) {
        numbered = slots > 0;
        bytes = shapes.stream().mapToLong(KvShape::bytes).sum();
        pages = shapes.getFirst().pages();
        try {
            shapes.forEach(shape -> stores.add(device.allocateKv(shape)));
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
        for (int page = 0; page < shapes.getFirst().pages(); page++) {
            (page < slots ? first : free).add(page);
        }
    }

    /** Pages that hold {@code positions} positions. */
    public static int pagesFor(int positions) {
        return (positions + KvShape.PAGE - 1) / KvShape.PAGE;
    }

    /** The device's memory. */
    public List<KvStore> stores() {
        return stores;
    }

    /** Bytes of all pages on the device. */
    long bytes() {
        return bytes;
    }

    /** How many pages there are. */
    int pages() {
        return pages;
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
        stores.forEach(KvStore::close);
    }
}
