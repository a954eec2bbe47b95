package dev.demitasse.device;

import dev.demitasse.kv.KvShape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** The memory of a paged key-value cache on a device; only the device knows the layout within a page. */
public interface KvStore extends AutoCloseable {
    /** {@return its dimensions} */
    KvShape shape();

    /**
     * {@return the name of the layout within a page: stores of the same layout, and of the same shape but for the
     * number of pages, take each other's pages}
     */
    String layout();

    /** {@return bytes of a page: its keys and values of all layers, and their scales} */
    long pageBytes();

    /**
     * Copies a page to the host.
     *
     * @param page which page, from 0
     * @param target receives {@link #pageBytes}
     */
    void readPage(int page, MemorySegment target);

    /**
     * Makes a page what {@link #readPage} gave.
     *
     * @param page which page, from 0
     * @param source of {@link #pageBytes}
     */
    void writePage(int page, MemorySegment source);

    /**
     * Makes a page what another is.
     *
     * @param from which page, from 0
     * @param to another one
     */
    default void copyPage(int from, int to) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment page = arena.allocate(pageBytes());
            readPage(from, page);
            writePage(to, page);
        }
    }

    @Override
    void close();
}
