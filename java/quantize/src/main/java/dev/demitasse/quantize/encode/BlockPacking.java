package dev.demitasse.quantize.encode;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * How codes and scales lie in blocks; the inverse of core's codecs. Source: ggml's block structures (ggml-common.h).
 */
final class BlockPacking {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** A block of 32 codes from {@code q[from]} with a scale. */
    @FunctionalInterface
    interface Scaled {
        void pack(byte[] q, int from, float d, MemorySegment s, long o);
    }

    /** The same with a minimum. */
    @FunctionalInterface
    interface WithMinimum {
        void pack(byte[] q, int from, float d, float m, MemorySegment s, long o);
    }

    /** A block of 256 codes, whose groups' integers begin at {@code factor[g]}. */
    @FunctionalInterface
    interface Superblock {
        void pack(byte[] q, int from, float d, int[] factor, int g, MemorySegment s, long o);
    }

    /** The same with minimums. */
    @FunctionalInterface
    interface SuperblockWithMinimum {
        void pack(byte[] q, int from, float d, float m, int[] factor, int[] minFactor, int g, MemorySegment s, long o);
    }

    private BlockPacking() {}

    static void q4_0(byte[] q, int from, float d, MemorySegment s, long o) {
        fp16(s, o, d);
        nibbles(q, from, s, o + 2);
    }

    static void q5_0(byte[] q, int from, float d, MemorySegment s, long o) {
        fp16(s, o, d);
        s.set(INT, o + 2, fifthBits(q, from));
        nibbles(q, from, s, o + 6);
    }

    static void q8_0(byte[] q, int from, float d, MemorySegment s, long o) {
        fp16(s, o, d);
        MemorySegment.copy(q, from, s, JAVA_BYTE, o + 2, 32);
    }

    static void q4_1(byte[] q, int from, float d, float m, MemorySegment s, long o) {
        fp16(s, o, d);
        fp16(s, o + 2, m);
        nibbles(q, from, s, o + 4);
    }

    static void q5_1(byte[] q, int from, float d, float m, MemorySegment s, long o) {
        fp16(s, o, d);
        fp16(s, o + 2, m);
        s.set(INT, o + 4, fifthBits(q, from));
        nibbles(q, from, s, o + 8);
    }

    static void mxfp4(byte[] q, int from, int exponent, MemorySegment s, long o) {
        s.set(JAVA_BYTE, o, (byte) exponent);
        nibbles(q, from, s, o + 1);
    }

    static void q2_k(
            byte[] q, int from, float d, float m, int[] factor, int[] minFactor, int g, MemorySegment s, long o) {
        for (int i = 0; i < 16; i++) {
            s.set(JAVA_BYTE, o + i, (byte) (factor[g + i] | minFactor[g + i] << 4));
        }
        pairs(q, from, s, o + 16);
        fp16(s, o + 80, d);
        fp16(s, o + 82, m);
    }

    static void q3_k(byte[] q, int from, float d, int[] factor, int g, MemorySegment s, long o) {
        for (int l = 0; l < 32; l++) {
            int third = 0;
            for (int j = 0; j < 8; j++) {
                third |= (q[from + j * 32 + l] >> 2 & 1) << j;
            }
            s.set(JAVA_BYTE, o + l, (byte) third);
        }
        pairs(q, from, s, o + 32);
        for (int i = 0; i < 8; i++) {
            s.set(JAVA_BYTE, o + 96 + i, (byte) (factor[g + i] + 32 & 15 | (factor[g + i + 8] + 32 & 15) << 4));
        }
        for (int i = 0; i < 4; i++) {
            int high = 0;
            for (int j = 0; j < 4; j++) {
                high |= (factor[g + i + 4 * j] + 32 >> 4) << 2 * j;
            }
            s.set(JAVA_BYTE, o + 104 + i, (byte) high);
        }
        fp16(s, o + 108, d);
    }

    static void q4_k(
            byte[] q, int from, float d, float m, int[] factor, int[] minFactor, int g, MemorySegment s, long o) {
        scaleMins(d, m, factor, minFactor, g, s, o);
        nibbles64(q, from, s, o + 16);
    }

    static void q5_k(
            byte[] q, int from, float d, float m, int[] factor, int[] minFactor, int g, MemorySegment s, long o) {
        scaleMins(d, m, factor, minFactor, g, s, o);
        for (int l = 0; l < 32; l++) {
            int fifth = 0;
            for (int j = 0; j < 8; j++) {
                fifth |= (q[from + j * 32 + l] >> 4 & 1) << j;
            }
            s.set(JAVA_BYTE, o + 16 + l, (byte) fifth);
        }
        nibbles64(q, from, s, o + 48);
    }

    static void q6_k(byte[] q, int from, float d, int[] factor, int g, MemorySegment s, long o) {
        for (int upper = 0; upper < 2; upper++) {
            for (int l = 0; l < 32; l++) {
                int at = from + upper * 128 + l;
                s.set(JAVA_BYTE, o + upper * 64 + l, (byte) (q[at] & 15 | (q[at + 64] & 15) << 4));
                s.set(JAVA_BYTE, o + upper * 64 + 32 + l, (byte) (q[at + 32] & 15 | (q[at + 96] & 15) << 4));
                int high = q[at] >> 4 | q[at + 32] >> 4 << 2 | q[at + 64] >> 4 << 4 | q[at + 96] >> 4 << 6;
                s.set(JAVA_BYTE, o + 128 + upper * 32 + l, (byte) high);
            }
        }
        for (int i = 0; i < 16; i++) {
            s.set(JAVA_BYTE, o + 192 + i, (byte) factor[g + i]);
        }
        fp16(s, o + 208, d);
    }

    static void iq4_xs(byte[] q, int from, float d, int[] factor, int g, MemorySegment s, long o) {
        fp16(s, o, d);
        int high = 0;
        for (int i = 0; i < 8; i++) {
            high |= (factor[g + i] + 32 >> 4) << 2 * i;
        }
        s.set(SHORT, o + 2, (short) high);
        for (int i = 0; i < 4; i++) {
            int low = factor[g + 2 * i] + 32 & 15 | (factor[g + 2 * i + 1] + 32 & 15) << 4;
            s.set(JAVA_BYTE, o + 4 + i, (byte) low);
        }
        for (int i = 0; i < 8; i++) {
            nibbles(q, from + 32 * i, s, o + 8 + 16L * i);
        }
    }

    /** d, m, and the 6-bit integers of eight scales and minimums in 12 bytes. */
    private static void scaleMins(float d, float m, int[] factor, int[] minFactor, int g, MemorySegment s, long o) {
        fp16(s, o, d);
        fp16(s, o + 2, m);
        for (int j = 0; j < 4; j++) {
            int scale = factor[g + j + 4];
            int min = minFactor[g + j + 4];
            s.set(JAVA_BYTE, o + 4 + j, (byte) (factor[g + j] | scale >> 4 << 6));
            s.set(JAVA_BYTE, o + 8 + j, (byte) (minFactor[g + j] | min >> 4 << 6));
            s.set(JAVA_BYTE, o + 12 + j, (byte) (scale & 15 | (min & 15) << 4));
        }
    }

    /** A product gathers the eight bits of a word in its highest byte: each term puts one bit there. */
    private static int fifthBits(byte[] q, int from) {
        int bits = 0;
        for (int i = 0; i < 32; i += Long.BYTES) {
            long eight = (long) LONGS.get(q, from + i) >>> 4 & 0x0101_0101_0101_0101L;
            bits |= (int) (eight * 0x0102_0408_1020_4080L >>> 56) << i;
        }
        return bits;
    }

    /** The low four bits of each of eight bytes. */
    private static long low(long bytes) {
        return bytes & 0x0F0F_0F0F_0F0F_0F0FL;
    }

    private static void nibbles(byte[] q, int from, MemorySegment s, long o) {
        for (int j = 0; j < 16; j += Long.BYTES) {
            s.set(LONG, o + j, low((long) LONGS.get(q, from + j)) | low((long) LONGS.get(q, from + j + 16)) << 4);
        }
    }

    private static void nibbles64(byte[] q, int from, MemorySegment s, long o) {
        for (int j = 0; j < 128; j += Long.BYTES) {
            int at = from + (j >> 5) * 64 + (j & 31);
            s.set(LONG, o + j, low((long) LONGS.get(q, at)) | low((long) LONGS.get(q, at + 32)) << 4);
        }
    }

    /** The low two bits of 256 codes: four of them, 32 elements apart, in a byte. */
    private static void pairs(byte[] q, int from, MemorySegment s, long o) {
        for (int i = 0; i < 64; i++) {
            int at = from + (i >> 5) * 128 + (i & 31);
            int four = q[at] & 3 | (q[at + 32] & 3) << 2 | (q[at + 64] & 3) << 4 | (q[at + 96] & 3) << 6;
            s.set(JAVA_BYTE, o + i, (byte) four);
        }
    }

    private static void fp16(MemorySegment s, long o, float value) {
        s.set(SHORT, o, Float.floatToFloat16(value));
    }
}
