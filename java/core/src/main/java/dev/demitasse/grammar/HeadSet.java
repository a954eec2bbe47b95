package dev.demitasse.grammar;

import java.util.Arrays;

/** A list of different numbers, that grows; most often a few. */
final class HeadSet {
    private static final int SCANNED = 12; // more than that are found by a table

    private long[] list = new long[16];
    private int size;
    private int[] table = new int[0]; // 1 + the place in the list

    void clear() {
        size = 0;
        table = new int[0];
    }

    int size() {
        return size;
    }

    long get(int i) {
        return list[i];
    }

    /** Adds a number that is not there yet. */
    void add(long number) {
        if (size < SCANNED) {
            for (int i = 0; i < size; i++) {
                if (list[i] == number) {
                    return;
                }
            }
        } else {
            if (2 * size >= table.length) {
                rebuild();
            }
            int slot = slot(number);
            if (table[slot] != 0) {
                return;
            }
            table[slot] = size + 1;
        }
        if (size == list.length) {
            list = Arrays.copyOf(list, 2 * size);
        }
        list[size++] = number;
    }

    private void rebuild() {
        table = new int[Math.max(64, 4 * Integer.highestOneBit(size))];
        for (int i = 0; i < size; i++) {
            table[slot(list[i])] = i + 1;
        }
    }

    private int slot(long number) {
        int slot = (int) (number * 0x9E3779B97F4A7C15L >>> 40) & table.length - 1;
        while (table[slot] != 0 && list[table[slot] - 1] != number) {
            slot = slot + 1 & table.length - 1;
        }
        return slot;
    }
}
