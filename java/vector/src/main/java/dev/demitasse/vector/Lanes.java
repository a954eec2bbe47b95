package dev.demitasse.vector;

import dev.demitasse.device.Support;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Locale;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Vectors over raw addresses. The innermost loops call the Vector API directly instead of these helpers: only the JDK's
 * own methods are inlined beyond the compiler's limit of nodes, and a call that is not inlined puts its vectors on the
 * heap. Their width is 256 bits where the CPU has it, else 128: 512-bit registers add nothing to the peak of the CPUs
 * that were measured, and lower some clocks.
 */
final class Lanes {
    static final VectorShape SHAPE =
            VectorShape.preferredShape().vectorBitSize() >= 256 ? VectorShape.S_256_BIT : VectorShape.S_128_BIT;
    static final VectorShape NARROW_SHAPE =
            SHAPE == VectorShape.S_256_BIT ? VectorShape.S_128_BIT : VectorShape.S_64_BIT;
    static final VectorSpecies<Float> FLOATS = SHAPE.withLanes(float.class);
    static final VectorSpecies<Integer> INTS = SHAPE.withLanes(int.class);
    static final VectorSpecies<Short> SHORTS = SHAPE.withLanes(short.class);
    static final VectorSpecies<Byte> OCTETS = SHAPE.withLanes(byte.class);
    static final VectorSpecies<Short> NARROW_SHORTS = NARROW_SHAPE.withLanes(short.class);

    /**
     * Bytes for a vector of 32-bit lanes; the narrowest vector has 8, of which 4 are taken where vectors have 4 lanes.
     */
    static final VectorSpecies<Byte> WORD_BYTES = VectorShape.S_64_BIT.withLanes(byte.class);

    /** FP32 lanes of a vector. */
    static final int WIDTH = FLOATS.length();
    /** Bytes of a vector. */
    static final int BYTES = FLOATS.vectorByteSize();

    /**
     * What every address is masked with. It changes none; but the compiler then knows that an offset is within {@link
     * #MEMORY} and leaves out the check, whose code for 64-bit offsets in loops took half the time of the kernels.
     */
    static final long ADDRESS = (1L << 56) - 1;
    /** The same for offsets of a loop, which are int. */
    static final int OFFSET = (1 << 30) - 1;

    /** All memory: an address is an offset. Operations have checked what they pass. */
    static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
    /** 2^112: the quotient of the exponent biases of FP32 and FP16, as a power. */
    static final float FP16_BIAS = 0x1p112f;

    private Lanes() {}

    static Support probe() {
        int bits = VectorShape.preferredShape().vectorBitSize();
        if (bits < 128) {
            return Support.no("the CPU has no vectors of 128 bits", "use another backend");
        }
        if (ByteOrder.nativeOrder() != ORDER) {
            return Support.no("the CPU is big-endian", "use the reference backend");
        }
        return Support.yes(describe());
    }

    static String describe() {
        return String.format(
                Locale.ROOT,
                "Java Vector API, %d-bit vectors, %s",
                SHAPE.vectorBitSize(),
                System.getProperty("os.arch"));
    }

    static FloatVector floats(long address) {
        return FloatVector.fromMemorySegment(FLOATS, MEMORY, address & ADDRESS, ORDER);
    }

    static FloatVector floats(float value) {
        return FloatVector.broadcast(FLOATS, value);
    }

    /** A vector of the number at {@code address}. */
    static FloatVector spread(long address) {
        return FloatVector.broadcast(FLOATS, MEMORY.get(FLOAT, address & ADDRESS));
    }

    static void store(FloatVector value, long address) {
        value.intoMemorySegment(MEMORY, address & ADDRESS, ORDER);
    }

    /** Zeroes {@code count} vectors. */
    static void clear(long address, int count) {
        for (int i = 0; i < count; i++) {
            store(FloatVector.zero(FLOATS), address + (long) i * BYTES);
        }
    }

    static float get(long address) {
        return MEMORY.get(FLOAT, address & ADDRESS);
    }

    static void set(long address, float value) {
        MEMORY.set(FLOAT, address & ADDRESS, value);
    }

    static void setInt(long address, int value) {
        MEMORY.set(INT, address & ADDRESS, value);
    }

    /** {@link #WIDTH} FP16 numbers as FP32, exact; not for infinities and NaN. */
    static FloatVector fp16(long address) {
        IntVector bits = widen(address);
        FloatVector magnitude = bits.and(0x7FFF)
                .lanewise(VectorOperators.LSHL, 13)
                .reinterpretAsFloats()
                .mul(FP16_BIAS);
        return magnitude.reinterpretAsInts().or(bits.and(0x80000000)).reinterpretAsFloats();
    }

    /** {@link #WIDTH} BF16 numbers as FP32. */
    static FloatVector bf16(long address) {
        return widen(address).lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
    }

    private static IntVector widen(long address) {
        return (IntVector) ShortVector.fromMemorySegment(NARROW_SHORTS, MEMORY, address & ADDRESS, ORDER)
                .convertShape(VectorOperators.S2I, INTS, 0);
    }

    /**
     * The sum of a vector's lanes in a fixed order: {@code reduceLanes} leaves it open, so interpreter and compiler
     * differ.
     */
    static float sum(FloatVector vector) {
        float sum = 0;
        for (int lane = 0; lane < WIDTH; lane++) {
            sum += vector.lane(lane);
        }
        return sum;
    }
}
