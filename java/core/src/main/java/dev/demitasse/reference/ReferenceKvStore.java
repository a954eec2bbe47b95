package dev.demitasse.reference;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.KvStore;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.PageParts;
import dev.demitasse.kv.ScaledElements;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;

/**
 * The cache in its plainest order: {@code [layer][page][kvHead][position in page][element]}, keys and values apart;
 * types of 8 bits and fewer a byte an element.
 */
final class ReferenceKvStore implements KvStore {
    private final KvShape shape;
    private final Elements keys;
    private final Elements values;
    private final PageParts parts;

    /** The keys, or the values: elements and, for types that have them, scales. */
    private static final class Elements implements AutoCloseable {
        final HostMemory elements;
        final HostMemory scales;

        Elements(KvShape shape) {
            scales = HostMemory.allocate(shape.scales() * Float.BYTES);
            long count = shape.pageElements() * shape.layers() * shape.pages();
            elements = HostMemory.allocate(
                    shape.type().scaled() ? count : shape.type().bytes(count));
        }

        @Override
        public void close() {
            elements.close();
            scales.close();
        }
    }

    ReferenceKvStore(KvShape shape) {
        this.shape = shape;
        this.keys = new Elements(shape);
        this.values = new Elements(shape);
        long count = (long) shape.layers() * shape.pages();
        long elements = keys.elements.bytes() / count;
        long scales = keys.scales.bytes() / count;
        this.parts = new PageParts(shape, elements, elements, scales, scales);
    }

    private MemorySegment array(int array) {
        Elements part = array % 2 == 0 ? keys : values;
        return (array < 2 ? part.elements : part.scales).segment();
    }

    @Override
    public String layout() {
        return "reference";
    }

    @Override
    public long pageBytes() {
        return parts.pageBytes();
    }

    @Override
    public void readPage(int page, MemorySegment target) {
        parts.read(page, this::array, target);
    }

    @Override
    public void writePage(int page, MemorySegment source) {
        parts.write(page, this::array, source);
    }

    void append(int layer, MemorySegment k, MemorySegment v, BatchRows rows) {
        float[] vector = new float[shape.headDim()];
        for (int row = 0; row < rows.count(); row++) {
            for (int head = 0; head < shape.kvHeads(); head++) {
                long at = vectorIndex(layer, rows.pages()[row], rows.positions()[row], head);
                long source = ((long) row * shape.kvHeads() + head) * shape.headDim();
                set(keys, at, k, source, vector);
                set(values, at, v, source, vector);
            }
        }
    }

    double key(int layer, int[] pages, int position, int kvHead, int d) {
        return get(keys, vectorIndex(layer, pages, position, kvHead), d);
    }

    double value(int layer, int[] pages, int position, int kvHead, int d) {
        return get(values, vectorIndex(layer, pages, position, kvHead), d);
    }

    /** Index of a position's vector of one head. */
    private long vectorIndex(int layer, int[] pages, int position, int kvHead) {
        int page = pages[position / KvShape.PAGE];
        return shape.headOffset(layer, page, kvHead) / shape.headDim() + position % KvShape.PAGE;
    }

    private void set(Elements part, long at, MemorySegment x, long source, float[] vector) {
        MemorySegment.copy(x, JAVA_FLOAT, source * Float.BYTES, vector, 0, vector.length);
        MemorySegment to = part.elements.segment();
        long first = at * vector.length;
        if (shape.type().scaled()) {
            byte[] rounded = new byte[vector.length];
            for (int g = 0, from = 0; from < vector.length; g++, from += KvShape.SCALE_GROUP) {
                int count = Math.min(KvShape.SCALE_GROUP, vector.length - from);
                int word = ScaledElements.round(shape.type(), vector, from, count, rounded, from);
                part.scales.segment().setAtIndex(JAVA_INT, at * shape.scaleGroups() + g, word);
            }
            MemorySegment.copy(rounded, 0, to, JAVA_BYTE, first, rounded.length);
            return;
        }
        for (int d = 0; d < vector.length; d++) {
            switch (shape.type()) {
                case F16 -> to.setAtIndex(JAVA_SHORT, first + d, Float.floatToFloat16(vector[d]));
                default -> to.setAtIndex(JAVA_FLOAT, first + d, vector[d]);
            }
        }
    }

    private double get(Elements part, long at, int d) {
        MemorySegment from = part.elements.segment();
        long index = at * shape.headDim() + d;
        return switch (shape.type()) {
            case F32 -> from.getAtIndex(JAVA_FLOAT, index);
            case F16 -> Float.float16ToFloat(from.getAtIndex(JAVA_SHORT, index));
            case INT8, FP8, INT4 -> {
                long group = at * shape.scaleGroups() + d / KvShape.SCALE_GROUP;
                int word = part.scales.segment().getAtIndex(JAVA_INT, group);
                double value = ScaledElements.value(shape.type(), from.get(JAVA_BYTE, index));
                yield value * ScaledElements.scale(shape.type(), word) + ScaledElements.minimum(shape.type(), word);
            }
        };
    }

    @Override
    public KvShape shape() {
        return shape;
    }

    @Override
    public void close() {
        keys.close();
        values.close();
    }
}
