package dev.demitasse.tokenizer;

import java.util.Arrays;

/** A growing list of ids. */
final class IntList {
    private int[] values;
    private int size;

    IntList(int capacity) {
        values = new int[capacity];
    }

    void add(int value) {
        if (size == values.length) {
            values = Arrays.copyOf(values, size * 2);
        }
        values[size++] = value;
    }

    int size() {
        return size;
    }

    int get(int index) {
        return values[index];
    }

    /** Leaves the first {@code length} of them. */
    void truncate(int length) {
        size = length;
    }

    int[] toArray() {
        return Arrays.copyOf(values, size);
    }
}
