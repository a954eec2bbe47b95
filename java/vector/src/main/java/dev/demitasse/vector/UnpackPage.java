package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.INTS;
import static dev.demitasse.vector.Lanes.MEMORY;
import static dev.demitasse.vector.Lanes.OFFSET;
import static dev.demitasse.vector.Lanes.ORDER;
import static dev.demitasse.vector.Lanes.WIDTH;
import static dev.demitasse.vector.Lanes.floats;
import static dev.demitasse.vector.Lanes.store;

import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.kv.ScaledElements;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Computes: keys and values of one head in one page as FP32, scales included.
 *
 * <p>Layout: pages as {@link VectorKvStore} has them; FP32 in the same order.
 *
 * <p>Requires: elements of a head padded to a multiple of 8, or 16 for INT4.
 *
 * <p>Accuracy: widening is exact; one rounding where there is a scale.
 *
 * <p>Launch: part of an attention task.
 *
 * <p>Moves: half a byte to 4 bytes read and 4 written an element.
 *
 * <p>Why: done once for all queries that share the page. Loops are written out and their strides are parameters, so
 * that the compiler neither calls helpers nor unrolls beyond its registers.
 */
final class UnpackPage {
    private static final int PAGE = KvShape.PAGE;

    private UnpackPage() {}

    static long keys(VectorKvStore store, int layer, int page, int head, long scratch) {
        long from = store.keys(layer, page, head);
        long to = elements(store, from, PAGE, scratch);
        KvType type = store.shape().type();
        if (type.scaled()) {
            scaleKeys(to, store.paddedDim(), WIDTH, store.keyScales(layer, page, head), type);
        }
        return to;
    }

    static long values(VectorKvStore store, int layer, int page, int head, long scratch) {
        long from = store.values(layer, page, head);
        long to = elements(store, from, store.paddedDim() / 2, scratch);
        KvType type = store.shape().type();
        if (type.scaled()) {
            scaleValues(to, store.paddedDim(), WIDTH, store.valueScales(layer, page, head), type);
        }
        return to;
    }

    /**
     * FP32 elements of a page: in place, or unpacked to {@code scratch}. Of INT4, {@code run} bytes have that many
     * elements in their lower bits, and the next ones in the upper bits.
     */
    private static long elements(VectorKvStore store, long from, int run, long scratch) {
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
            case INT4 -> fourBits(from & Lanes.ADDRESS, count / 2, run, WIDTH, scratch & Lanes.ADDRESS);
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

    private static void fourBits(long from, int bytes, int run, int width, long to) {
        for (int first = 0; first < bytes; first += run) {
            for (int i = first; i < first + run; i += width) {
                long at = i & OFFSET;
                IntVector both = (IntVector) ByteVector.fromMemorySegment(Lanes.WORD_BYTES, MEMORY, from + at, ORDER)
                        .convertShape(VectorOperators.B2I, INTS, 0);
                long target = to + ((first + i) & OFFSET) * 4L;
                both.and(15)
                        .convertShape(VectorOperators.I2F, Lanes.FLOATS, 0)
                        .intoMemorySegment(MEMORY, target, ORDER);
                both.lanewise(VectorOperators.LSHR, 4)
                        .and(15)
                        .convertShape(VectorOperators.I2F, Lanes.FLOATS, 0)
                        .intoMemorySegment(MEMORY, target + run * 4L, ORDER);
            }
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

    /** Keys {@code [element][position]} times the scale of a group and position, plus its minimum where there are. */
    private static void scaleKeys(long keys, int dim, int width, long scales, KvType type) {
        for (int p = 0; p < PAGE; p += width) {
            for (int first = 0; first < dim; first += KvShape.SCALE_GROUP) {
                long group = scales + ((long) first / KvShape.SCALE_GROUP * PAGE + p) * 4;
                boolean minimums = type == KvType.INT4;
                FloatVector scale = minimums ? half(group, 0) : floats(group);
                FloatVector minimum = minimums ? half(group, 16) : FloatVector.zero(Lanes.FLOATS);
                for (int d = first; d < Math.min(dim, first + KvShape.SCALE_GROUP); d++) {
                    long at = keys + ((long) d * PAGE + p) * 4;
                    store(floats(at).fma(scale, minimum), at);
                }
            }
        }
    }

    /** The FP16 numbers that begin at bit {@code shift} of words, 0 or 16. */
    private static FloatVector half(long words, int shift) {
        IntVector bits = IntVector.fromMemorySegment(INTS, MEMORY, words & Lanes.ADDRESS, ORDER)
                .lanewise(VectorOperators.LSHR, shift);
        IntVector magnitude = bits.and(0x7FFF)
                .lanewise(VectorOperators.LSHL, 13)
                .reinterpretAsFloats()
                .mul(Lanes.FP16_BIAS)
                .reinterpretAsInts();
        IntVector value = magnitude.or(bits.and(0x8000).lanewise(VectorOperators.LSHL, 16));
        return value.lanewise(VectorOperators.OR, 0x7F800000, bits.and(0x7C00).eq(0x7C00))
                .reinterpretAsFloats();
    }

    /** The same of values {@code [position][element]}. */
    private static void scaleValues(long values, int dim, int width, long scales, KvType type) {
        for (int p = 0; p < PAGE; p++) {
            for (int first = 0; first < dim; first += KvShape.SCALE_GROUP) {
                long group = scales + ((long) first / KvShape.SCALE_GROUP * PAGE + p) * 4;
                int word = MEMORY.get(Lanes.INT, group);
                FloatVector scale = floats(ScaledElements.scale(type, word));
                FloatVector minimum = floats(ScaledElements.minimum(type, word));
                for (int d = first; d < Math.min(dim, first + KvShape.SCALE_GROUP); d += width) {
                    long at = values + ((long) p * dim + d) * 4;
                    store(floats(at).fma(scale, minimum), at);
                }
            }
        }
    }
}
