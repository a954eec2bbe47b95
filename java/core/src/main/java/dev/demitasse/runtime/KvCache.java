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
 * PagedAttention", 2023). Sequences that begin alike may hold the same pages; where one is to write to such a page, it
 * gets its own first.
 */
public final class KvCache implements AutoCloseable {
    private final List<KvStore> stores = new ArrayList<>();
    private final Deque<Integer> free = new ArrayDeque<>();
    private final Deque<Integer> first = new ArrayDeque<>(); // of `free`, those that may be a table's first
    private final int slots; // pages below are tables' first ones; 0 where any may be
    private final int[] holders; // tables that have a page
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
        this.slots = slots;
        bytes = 2 * shapes.stream().mapToLong(KvShape::bytes).sum(); // of keys, and of values
        pages = shapes.getFirst().pages();
        holders = new int[pages];
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
        return slots == 0 || !first.isEmpty();
    }

    /**
     * Makes room in {@code table} for {@code positions} positions in all; false, and nothing changed, where none is
     * left.
     */
    public boolean reserve(PageTable table, int positions) {
        int needed = pagesFor(positions) - table.size();
        int firsts = slots > 0 && table.size() == 0 && needed > 0 ? 1 : 0;
        if (firsts > first.size() || needed - firsts > free.size()) {
            return false;
        }
        for (int i = 0; i < needed; i++) {
            int page = (i < firsts ? first : free).pop();
            holders[page] = 1;
            table.add(page);
        }
        return true;
    }

    /**
     * Lets {@code to} hold the pages of {@code from} up to {@code positions} positions that it has not yet; a first
     * page that numbers its sequence is copied into that of {@code to}, which must be there.
     */
    void share(PageTable from, PageTable to, int positions) {
        if (slots > 0 && positions > 0) {
            stores.forEach(store -> store.copyPage(from.get(0), to.get(0)));
        }
        for (int i = to.size(); i < pagesFor(positions); i++) {
            holders[from.get(i)]++;
            to.add(from.get(i));
        }
    }

    /**
     * Gives {@code table} a page of its own for the position behind {@code positions}, with what the shared one holds;
     * false, and nothing changed, where there is none. Pages beyond must have been released.
     */
    boolean own(PageTable table, int positions) {
        int index = positions / KvShape.PAGE;
        if (index >= table.size() || holders[table.get(index)] == 1) {
            return true;
        }
        if (free.isEmpty()) {
            return false;
        }
        int shared = table.get(index);
        int page = free.element();
        stores.forEach(store -> store.copyPage(shared, page));
        free.pop(); // now that nothing can fail
        holders[shared]--;
        holders[page] = 1;
        table.set(index, page);
        return true;
    }

    /** Whether there is a page that nobody holds but {@code table}. */
    boolean hasAlone(PageTable table) {
        for (int i = 0; i < table.size(); i++) {
            if (holders[table.get(i)] == 1) {
                return true;
            }
        }
        return false;
    }

    /** How many pages nobody holds but {@code tables}. */
    int heldByAlone(List<PageTable> tables) {
        int[] holding = new int[pages];
        int alone = 0;
        for (PageTable table : tables) {
            for (int i = 0; i < table.size(); i++) {
                int page = table.get(i);
                alone += ++holding[page] == holders[page] ? 1 : 0;
            }
        }
        return alone;
    }

    /** Gives back every page of {@code table} beyond those that hold {@code positions} positions. */
    public void release(PageTable table, int positions) {
        int keep = pagesFor(positions);
        while (table.size() > keep) {
            int page = table.removeLast();
            if (--holders[page] == 0) {
                (page < slots ? first : free).push(page);
            }
        }
    }

    @Override
    public void close() {
        stores.forEach(KvStore::close);
    }
}
