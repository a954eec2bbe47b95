package dev.demitasse.cuda;

import dev.demitasse.gpu.BatchTables;
import dev.demitasse.gpu.PagedKvStore;
import dev.demitasse.gpu.Step;

/**
 * The words of a kernel's structure of arguments; fields are indices that {@link Boundary} has from the kernel's
 * source.
 */
final class Words {
    private final long[] words;

    /** A structure of {@code count} words, all zero. */
    Words(int count) {
        words = new long[count];
    }

    /** Sets a field to an address or an integer. */
    Words set(int field, long value) {
        words[field] = value;
        return this;
    }

    /** Sets a field to an FP32 number. */
    Words setFloat(int field, float value) {
        words[field] = Float.floatToRawIntBits(value) & 0xFFFFFFFFL;
        return this;
    }

    /** Sets a field to a structure. */
    Words set(int field, long[] structure) {
        System.arraycopy(structure, 0, words, field, structure.length);
        return this;
    }

    /** Sets a field to the structure {@code KvPages}. */
    Words set(int field, PagedKvStore store) {
        words[field + Boundary.KvPages.KEYS] = store.keys();
        words[field + Boundary.KvPages.VALUES] = store.values();
        words[field + Boundary.KvPages.KEY_SCALES] = store.keyScales();
        words[field + Boundary.KvPages.VALUE_SCALES] = store.valueScales();
        words[field + Boundary.KvPages.PAGES] = store.shape().pages();
        words[field + Boundary.KvPages.HEADS] = store.shape().kvHeads();
        words[field + Boundary.KvPages.HEAD_DIM] = store.shape().headDim();
        return this;
    }

    /** Sets a field to the structure {@code RopeAngles}. */
    Words set(int field, Step.Rope rope) {
        words[field + Boundary.RopeAngles.ROPE_DIM] = rope.ropeDim();
        words[field + Boundary.RopeAngles.INTERLEAVED] = rope.interleaved() ? 1 : 0;
        words[field + Boundary.RopeAngles.ANGLES] = rope.angles();
        return this;
    }

    /** Sets a field to the structure {@code BatchRows}, of the rows from {@code first} on. */
    Words set(int field, BatchTables.Rows rows, int first) {
        words[field + Boundary.BatchRows.POSITIONS] = rows.positions() + (long) Integer.BYTES * first;
        words[field + Boundary.BatchRows.TABLES] = rows.tables() + (long) Integer.BYTES * first;
        words[field + Boundary.BatchRows.PAGES] = rows.pages();
        return this;
    }

    /** All words. */
    long[] done() {
        return words;
    }
}
