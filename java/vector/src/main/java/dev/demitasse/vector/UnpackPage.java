package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.INTS;
import static dev.demitasse.vector.Lanes.MEMORY;
import static dev.demitasse.vector.Lanes.OFFSET;
import static dev.demitasse.vector.Lanes.ORDER;
import static dev.demitasse.vector.Lanes.WIDTH;
import static dev.demitasse.vector.Lanes.floats;
import static dev.demitasse.vector.Lanes.spread;
import static dev.demitasse.vector.Lanes.store;

import dev.demitasse.kv.KvShape;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Computes: keys and values of one head in one page as FP32, scales included.
 *
 * <p>Layout: pages as {@link VectorKvStore} has them; FP32 in the same order.
 *
 * <p>Requires: elements of a head padded to a multiple of 8.
 *
 * <p>Accuracy: widening is exact; one rounding where there is a scale.
 *
 * <p>Launch: part of an attention task.
 *
 * <p>Moves: 1, 2 or 4 bytes read and 4 written an element.
 *
 * <p>Why: done once for all queries that share the page. Loops are written out and their strides are parameters, so
 * that the compiler neither calls helpers nor unrolls beyond its registers.
 */
final class UnpackPage {
    private static final int PAGE = KvShape.PAGE;

    private UnpackPage() {}

    static long keys(VectorKvStore store, int layer, int page, int head, long scratch) {
        long from = store.keys(layer, page, head);
        long to = elements(store, from, scratch);
        if (store.shape().type().scaled()) {
            scaleKeys(to, store.paddedDim(), WIDTH, store.keyScales(layer, page, head));
        }
        return to;
    }

    static long values(VectorKvStore store, int layer, int page, int head, long scratch) {
        long from = store.values(layer, page, head);
        long to = elements(store, from, scratch);
        if (store.shape().type().scaled()) {
            scaleValues(to, store.paddedDim(), WIDTH, store.valueScales(layer, page, head));
        }
        return to;
    }

    /** FP32 elements of a page: in place, or unpacked to {@code scratch}. */
    private static long elements(VectorKvStore store, long from, long scratch) {
        int count = store.paddedDim() * PAGE;
        switch (store.shape().type()) {
            case F32 -> {
                return from;
            }
            case F16 -> {
                fp16(from & Lanes.ADDRESS, count, WIDTH, scratch & Lanes.ADDRESS);
                if (store.holdsNonFinite()) {
                    restoreNonFinite(from, count, scratch);
                }
            }
            case INT8 -> bytes(from & Lanes.ADDRESS, count, WIDTH, scratch & Lanes.ADDRESS);
            case FP8 -> fp8(from & Lanes.ADDRESS, count, WIDTH, scratch & Lanes.ADDRESS);
        }
        return scratch;
    }

    /** FP16, as {@link Lanes#fp16} explains; half of a decode step's work at a long context. */
    private static void fp16(long from, int count, int width, long to) {
        for (int i = 0; i < count; i += width) {
            long at = i & OFFSET;
            IntVector bits =
                    (IntVector) ShortVector.fromMemorySegment(Lanes.NARROW_SHORTS, MEMORY, from + at * 2, ORDER)
                            .convertShape(VectorOperators.S2I, INTS, 0);
            IntVector magnitude = bits.and(0x7FFF)
                    .lanewise(VectorOperators.LSHL, 13)
                    .reinterpretAsFloats()
                    .mul(Lanes.FP16_BIAS)
                    .reinterpretAsInts();
            magnitude.or(bits.and(0x80000000)).reinterpretAsFloats().intoMemorySegment(MEMORY, to + at * 4, ORDER);
        }
    }

    /** What {@link #fp16} took for 65,536 and more. */
    private static void restoreNonFinite(long from, int count, long to) {
        for (int i = 0; i < count; i++) {
            short bits = MEMORY.get(ValueLayout.JAVA_SHORT_UNALIGNED, from + i * 2L);
            if ((bits & 0x7C00) == 0x7C00) {
                Lanes.set(to + i * 4L, Float.float16ToFloat(bits));
            }
        }
    }

    private static void bytes(long from, int count, int width, long to) {
        for (int i = 0; i < count; i += width) {
            long at = i & OFFSET;
            IntVector integers = (IntVector) ByteVector.fromMemorySegment(Lanes.WORD_BYTES, MEMORY, from + at, ORDER)
                    .convertShape(VectorOperators.B2I, INTS, 0);
            integers.convertShape(VectorOperators.I2F, Lanes.FLOATS, 0).intoMemorySegment(MEMORY, to + at * 4, ORDER);
        }
    }

    /** E4M3: the bits moved to FP32's places, and the bias made good; the sign is the sign of the widened byte. */
    private static void fp8(long from, int count, int width, long to) {
        for (int i = 0; i < count; i += width) {
            long at = i & OFFSET;
            IntVector bits = (IntVector) ByteVector.fromMemorySegment(Lanes.WORD_BYTES, MEMORY, from + at, ORDER)
                    .convertShape(VectorOperators.B2I, INTS, 0);
            IntVector magnitude = bits.and(0x7F)
                    .lanewise(VectorOperators.LSHL, 20)
                    .reinterpretAsFloats()
                    .mul(0x1p120f)
                    .reinterpretAsInts();
            magnitude.or(bits.and(0x80000000)).reinterpretAsFloats().intoMemorySegment(MEMORY, to + at * 4, ORDER);
        }
    }

    /** Keys {@code [element][position]} times a scale a group of elements and position. */
    private static void scaleKeys(long keys, int dim, int width, long scales) {
        for (int d = 0; d < dim; d++) {
            long group = scales + (long) (d / KvShape.SCALE_GROUP) * PAGE * 4;
            for (int p = 0; p < PAGE; p += width) {
                long at = keys + ((long) d * PAGE + p) * 4;
                store(floats(at).mul(floats(group + p * 4L)), at);
            }
        }
    }

    /** Values {@code [position][element]} times a scale a group of elements and position. */
    private static void scaleValues(long values, int dim, int width, long scales) {
        for (int p = 0; p < PAGE; p++) {
            for (int d = 0; d < dim; d += width) {
                long at = values + ((long) p * dim + d) * 4;
                store(floats(at).mul(spread(scales + ((long) (d / KvShape.SCALE_GROUP) * PAGE + p) * 4)), at);
            }
        }
    }
}
