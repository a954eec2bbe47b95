package dev.demitasse.opencl;

import dev.demitasse.gpu.BatchTables;
import dev.demitasse.gpu.PagedKvStore;
import dev.demitasse.gpu.Step;
import java.util.Arrays;

/**
 * A kernel's arguments: buffers, and the words of its structure, whose fields are indices that {@link Boundary} has
 * from the kernel's source. An address in the structure is an offset into the buffer that the kernel takes beside it.
 */
final class Arguments {
    private final long[] words;
    private long[] buffers = {};

    /** A structure of {@code count} words, all zero. */
    Arguments(int count) {
        words = new long[count];
    }

    /** The next buffer: the one of an address, or none for 0. */
    Arguments buffer(long address) {
        buffers = Arrays.copyOf(buffers, buffers.length + 1);
        buffers[buffers.length - 1] = address;
        return this;
    }

    /** Sets a field to where an address lies in its buffer; to -1 for 0. */
    Arguments offset(int field, long address) {
        words[field] = address == 0 ? -1 : OpenClContext.offset(address);
        return this;
    }

    /** The next buffer, and a field's offset in it. */
    Arguments buffer(int field, long address) {
        return buffer(address).offset(field, address);
    }

    /** Sets a field to an integer. */
    Arguments set(int field, long value) {
        words[field] = value;
        return this;
    }

    /** Sets a field to an FP32 number. */
    Arguments setFloat(int field, float value) {
        words[field] = Float.floatToRawIntBits(value) & 0xFFFFFFFFL;
        return this;
    }

    /** Sets a field to a structure. */
    Arguments set(int field, long[] structure) {
        System.arraycopy(structure, 0, words, field, structure.length);
        return this;
    }

    /** Sets a field to the structure {@code KvPages}, whose buffer is that of {@link PagedKvStore#keys}. */
    Arguments set(int field, PagedKvStore store) {
        offset(field + Boundary.KvPages.KEYS, store.keys());
        offset(field + Boundary.KvPages.VALUES, store.values());
        offset(field + Boundary.KvPages.KEY_SCALES, store.keyScales());
        offset(field + Boundary.KvPages.VALUE_SCALES, store.valueScales());
        words[field + Boundary.KvPages.PAGES] = store.shape().pages();
        words[field + Boundary.KvPages.HEADS] = store.shape().kvHeads();
        words[field + Boundary.KvPages.HEAD_DIM] = store.shape().headDim();
        return this;
    }

    /** Sets a field to the structure {@code RopeAngles}. */
    Arguments set(int field, Step.Rope rope) {
        words[field + Boundary.RopeAngles.ROPE_DIM] = rope.ropeDim();
        words[field + Boundary.RopeAngles.INTERLEAVED] = rope.interleaved() ? 1 : 0;
        return offset(field + Boundary.RopeAngles.ANGLES, rope.angles());
    }

    /** Sets a field to the structure {@code StateRows}. */
    Arguments set(int field, BatchTables.Rows rows) {
        offset(field + Boundary.StateRows.POSITIONS, rows.positions());
        offset(field + Boundary.StateRows.TABLES, rows.tables());
        offset(field + Boundary.StateRows.PAGES, rows.pages());
        return set(field + Boundary.StateRows.COUNT, rows.count());
    }

    /** Sets a field to the structure {@code BatchRows}, of the rows from {@code first} on. */
    Arguments set(int field, BatchTables.Rows rows, int first) {
        offset(field + Boundary.BatchRows.POSITIONS, rows.positions() + (long) Integer.BYTES * first);
        offset(field + Boundary.BatchRows.TABLES, rows.tables() + (long) Integer.BYTES * first);
        return offset(field + Boundary.BatchRows.PAGES, rows.pages());
    }

    /** The words. */
    long[] words() {
        return words;
    }

    /** The launch of a kernel. */
    Launch.Kernel launch(Programs.Key kernel, Launch.Grid grid) {
        return new Launch.Kernel(kernel, grid, buffers, words);
    }
}
