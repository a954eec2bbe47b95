package dev.demitasse.kv;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.function.IntFunction;

/**
 * Where a page lies in a store that keeps arrays of [layer][page]: keys, values, and their scales. A page in one piece
 * is what it has in the first array, layer by layer, then in the second, and so on.
 */
public final class PageParts {
    private final KvShape shape;
    private final long[] bytes;

    /**
     * A store's arrays.
     *
     * @param shape its dimensions
     * @param bytes of a page of one layer in each array; 0 where it is empty
     */
    public PageParts(KvShape shape, long... bytes) {
        this.shape = shape;
        this.bytes = bytes.clone();
    }

    /** Takes a part of a page. */
    @FunctionalInterface
    public interface Visitor {
        /**
         * Takes a part.
         *
         * @param array which array, from 0
         * @param at where it is in the array, in bytes
         * @param from where it is in the page in one piece, in bytes
         * @param length its bytes
         */
        void visit(int array, long at, long from, long length);
    }

    /** {@return bytes of a page in one piece} */
    public long pageBytes() {
        return Arrays.stream(bytes).sum() * shape.layers();
    }

    /**
     * Shows all parts of a page.
     *
     * @param page which page, from 0
     * @param visitor takes each
     */
    public void visit(int page, Visitor visitor) {
        long from = 0;
        for (int array = 0; array < bytes.length; array++) {
            for (int layer = 0; layer < shape.layers() && bytes[array] > 0; layer++) {
                long at = ((long) layer * shape.pages() + page) * bytes[array];
                visitor.visit(array, at, from, bytes[array]);
                from += bytes[array];
            }
        }
    }

    /**
     * Copies a page out of the arrays.
     *
     * @param page which page, from 0
     * @param arrays each array's bytes, by its number
     * @param target gets the page in one piece
     */
    public void read(int page, IntFunction<MemorySegment> arrays, MemorySegment target) {
        visit(page, (array, at, from, length) -> MemorySegment.copy(arrays.apply(array), at, target, from, length));
    }

    /**
     * Copies a page into the arrays.
     *
     * @param page which page, from 0
     * @param arrays each array's bytes, by its number
     * @param source has the page in one piece
     */
    public void write(int page, IntFunction<MemorySegment> arrays, MemorySegment source) {
        visit(page, (array, at, from, length) -> MemorySegment.copy(source, from, arrays.apply(array), at, length));
    }
}
