package dev.demitasse.runtime;

import java.util.Arrays;

/** The pages of one sequence, in the order of their positions. */
public final class PageTable {
    private int[] pages = new int[8];
    private int size;

    /** An empty table. */
    public PageTable() {}

    /** Number of pages. */
    public int size() {
        return size;
    }

    /** The pages; valid until the next change, and longer than {@link #size}. */
    public int[] pages() {
        return pages;
    }

    void add(int page) {
        if (size == pages.length) {
            pages = Arrays.copyOf(pages, size * 2);
        }
        pages[size++] = page;
    }

    /** Takes the pages of another, which has none then. */
    void takeOver(PageTable other) {
        pages = other.pages.clone();
        size = other.size;
        other.size = 0;
    }

    int get(int index) {
        return pages[index];
    }

    void set(int index, int page) {
        pages[index] = page;
    }

    int removeLast() {
        return pages[--size];
    }
}
