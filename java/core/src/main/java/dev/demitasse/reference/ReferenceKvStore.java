package dev.demitasse.reference;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.demitasse.UsageException;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.KvStore;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;

/** The cache in its plainest order: {@code [layer][page][kvHead][position in page][element]}, keys and values apart. */
final class ReferenceKvStore implements KvStore {
    private final KvShape shape;
    private final HostMemory keys;
    private final HostMemory values;

    ReferenceKvStore(KvShape shape) {
        this.shape = shape;
        this.keys = HostMemory.allocate(shape.bytes());
        this.values = HostMemory.allocate(shape.bytes());
    }

    static ReferenceKvStore of(KvStore store) {
        if (!(store instanceof ReferenceKvStore reference)) {
            throw new UsageException("A cache of another device was given to the reference device.");
        }
        return reference;
    }

    void append(int layer, MemorySegment k, MemorySegment v, BatchRows rows) {
        int width = shape.kvHeads() * shape.headDim();
        for (int row = 0; row < rows.count(); row++) {
            for (int i = 0; i < width; i++) {
                long at = index(
                        layer, rows.pages()[row], rows.positions()[row], i / shape.headDim(), i % shape.headDim());
                set(keys.segment(), at, k.getAtIndex(JAVA_FLOAT, (long) row * width + i));
                set(values.segment(), at, v.getAtIndex(JAVA_FLOAT, (long) row * width + i));
            }
        }
    }

    double key(int layer, int[] pages, int position, int kvHead, int d) {
        return get(keys.segment(), index(layer, pages, position, kvHead, d));
    }

    double value(int layer, int[] pages, int position, int kvHead, int d) {
        return get(values.segment(), index(layer, pages, position, kvHead, d));
    }

    private long index(int layer, int[] pages, int position, int kvHead, int d) {
        int page = pages[position / KvShape.PAGE];
        return shape.headOffset(layer, page, kvHead) + (long) (position % KvShape.PAGE) * shape.headDim() + d;
    }

    private void set(MemorySegment segment, long index, float value) {
        if (shape.type() == KvType.F16) {
            segment.setAtIndex(JAVA_SHORT, index, Float.floatToFloat16(value));
        } else {
            segment.setAtIndex(JAVA_FLOAT, index, value);
        }
    }

    private float get(MemorySegment segment, long index) {
        return shape.type() == KvType.F16
                ? Float.float16ToFloat(segment.getAtIndex(JAVA_SHORT, index))
                : segment.getAtIndex(JAVA_FLOAT, index);
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
