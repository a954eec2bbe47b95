package dev.demitasse.tokenizer;

import java.util.Arrays;

/** From a pair of ids to the rank of their merge and the id they merge to: open addressing over longs. */
final class MergeTable {
    /** What {@link #find} returns where a pair does not merge. */
    static final long ABSENT = -1;

    private static final long EMPTY = -1;

    private final long[] keys;
    private final long[] values;
    private final int mask;

    MergeTable(int merges) {
        int capacity = Integer.highestOneBit(Math.max(8, merges) * 2 - 1) << 1;
        keys = new long[capacity];
        values = new long[capacity];
        mask = capacity - 1;
        Arrays.fill(keys, EMPTY);
    }

    /** Adds a merge; the first of equal pairs counts. */
    void put(int left, int right, int rank, int merged) {
        long key = key(left, right);
        int slot = slot(key);
        while (keys[slot] != EMPTY) {
            if (keys[slot] == key) {
                return;
            }
            slot = slot + 1 & mask;
        }
        keys[slot] = key;
        values[slot] = (long) rank << 32 | merged;
    }

    /** Rank in the upper half and merged id in the lower, or {@link #ABSENT}. */
    long find(int left, int right) {
        long key = key(left, right);
        int slot = slot(key);
        while (keys[slot] != EMPTY) {
            if (keys[slot] == key) {
                return values[slot];
            }
            slot = slot + 1 & mask;
        }
        return ABSENT;
    }

    private static long key(int left, int right) {
        return (long) left << 32 | right;
    }

    private int slot(long key) {
        long mixed = key * 0x9E3779B97F4A7C15L;
        return (int) (mixed >>> 40) & mask;
    }
}
