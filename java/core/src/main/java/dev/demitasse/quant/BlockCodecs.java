package dev.demitasse.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** The codecs of ggml's quantized types; each method is one {@link BlockCodec}. {@code d} and {@code m} are FP16. */
final class BlockCodecs {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private BlockCodecs() {}

    /** d, 16 bytes: element j in the low nibble of byte j, j + 16 in the high one; value d (q - 8). */
    static void q4_0(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        scales[g] = fp16(s, o);
        nibbles(s, o + 2, q, at);
    }

    /** d, m, 16 bytes as Q4_0; value d q + m. */
    static void q4_1(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        scales[g] = fp16(s, o);
        mins[g] = fp16(s, o + 2);
        nibbles(s, o + 4, q, at);
    }

    /** d, 32 fifth bits, 16 bytes as Q4_0; value d (q - 16). */
    static void q5_0(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        scales[g] = fp16(s, o);
        nibbles(s, o + 6, q, at);
        int high = s.get(INT, o + 2);
        for (int i = 0; i < 32; i++) {
            q[at + i] = (byte) ((q[at + i] | (high >>> i & 1) << 4) - 16);
        }
    }

    /** d, m, 32 fifth bits, 16 bytes as Q4_0; value d q + m. */
    static void q5_1(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        scales[g] = fp16(s, o);
        mins[g] = fp16(s, o + 2);
        nibbles(s, o + 8, q, at);
        int high = s.get(INT, o + 4);
        for (int i = 0; i < 32; i++) {
            q[at + i] |= (byte) ((high >>> i & 1) << 4);
        }
    }

    /** d, 32 signed bytes; value d q. */
    static void q8_0(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        scales[g] = fp16(s, o);
        MemorySegment.copy(s, JAVA_BYTE, o + 2, q, at, 32);
    }

    /** 16 bytes of 4-bit scale and minimum, 64 bytes of 2 bits, d, dmin; 16 groups of 16; value d sc q - dmin m. */
    static void q2_k(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o + 80);
        float dmin = fp16(s, o + 82);
        for (int i = 0; i < 16; i++) {
            int scale = u8(s, o + i);
            scales[g + i] = d * (scale & 15);
            mins[g + i] = -(dmin * (scale >> 4));
        }
        for (int i = 0; i < 256; i++) {
            q[at + i] = (byte) (u8(s, o + 16 + (i >> 7) * 32 + (i & 31)) >> (i >> 5 & 3) * 2 & 3);
        }
    }

    /**
     * 32 bytes of third bits, 64 bytes of 2 bits, 12 bytes of 6-bit scales, d; 16 groups of 16; value d (sc - 32) q.
     */
    static void q3_k(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o + 108);
        for (int i = 0; i < 16; i++) {
            int low = u8(s, o + 96 + (i & 7)) >> (i >> 3) * 4 & 15;
            int high = u8(s, o + 104 + (i & 3)) >> (i >> 2) * 2 & 3;
            scales[g + i] = d * ((low | high << 4) - 32);
        }
        for (int i = 0; i < 256; i++) {
            int low = u8(s, o + 32 + (i >> 7) * 32 + (i & 31)) >> (i >> 5 & 3) * 2 & 3;
            int high = u8(s, o + (i & 31)) >> (i >> 5) & 1;
            q[at + i] = (byte) ((low | high << 2) - 4 + 8);
        }
    }

    /** d, dmin, 12 bytes of 6-bit scales and minimums, 128 bytes of nibbles; 8 groups of 32; value d sc q - dmin m. */
    static void q4_k(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        scaleMins(s, o, scales, mins, g);
        nibbles64(s, o + 16, q, at);
    }

    /** As Q4_K with 32 bytes of fifth bits before the nibbles: bit j of byte l belongs to element l of group j. */
    static void q5_k(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        scaleMins(s, o, scales, mins, g);
        nibbles64(s, o + 48, q, at);
        for (int i = 0; i < 256; i++) {
            q[at + i] |= (byte) ((u8(s, o + 16 + (i & 31)) >> (i >> 5) & 1) << 4);
        }
    }

    /**
     * 128 bytes of low nibbles, 64 of high pairs of bits, 16 signed scales, d; 16 groups of 16; value d sc (q - 32).
     */
    static void q6_k(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o + 208);
        for (int i = 0; i < 16; i++) {
            scales[g + i] = d * s.get(JAVA_BYTE, o + 192 + i);
        }
        for (int upper = 0; upper < 2; upper++) {
            for (int l = 0; l < 32; l++) {
                int first = u8(s, o + upper * 64 + l);
                int second = u8(s, o + upper * 64 + 32 + l);
                int high = u8(s, o + 128 + upper * 32 + l);
                int to = at + upper * 128 + l;
                q[to] = (byte) ((first & 15 | (high & 3) << 4) - 32);
                q[to + 32] = (byte) ((second & 15 | (high >> 2 & 3) << 4) - 32);
                q[to + 64] = (byte) ((first >> 4 | (high >> 4 & 3) << 4) - 32);
                q[to + 96] = (byte) ((second >> 4 | (high >> 6 & 3) << 4) - 32);
            }
        }
    }

    /** d, 16 bytes as Q4_0; value d level(q). */
    static void iq4_nl(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        scales[g] = fp16(s, o);
        levels(LevelTable.IQ4, s, o + 2, q, at);
    }

    /** Exponent e, 16 bytes as Q4_0; value 2^(e - 128) level(q). */
    static void mxfp4(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        scales[g] = Math.scalb(1f, u8(s, o) - 128);
        levels(LevelTable.FP4, s, o + 1, q, at);
    }

    /**
     * d, 16 bits of high scale pairs, 4 bytes of low scale nibbles, 8 groups of 16 bytes; value d (sc - 32) level(q).
     */
    static void iq4_xs(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o);
        int high = s.get(SHORT, o + 2) & 0xFFFF;
        for (int i = 0; i < 8; i++) {
            int low = u8(s, o + 4 + (i >> 1)) >> (i & 1) * 4 & 15;
            scales[g + i] = d * ((low | (high >> 2 * i & 3) << 4) - 32);
            levels(LevelTable.IQ4, s, o + 8 + i * 16L, q, at + i * 32);
        }
    }

    private static void scaleMins(MemorySegment s, long o, float[] scales, float[] mins, int g) {
        float d = fp16(s, o);
        float dmin = fp16(s, o + 2);
        long b = o + 4;
        for (int j = 0; j < 8; j++) {
            int scale;
            int min;
            if (j < 4) {
                scale = u8(s, b + j) & 63;
                min = u8(s, b + j + 4) & 63;
            } else {
                scale = u8(s, b + j + 4) & 15 | u8(s, b + j - 4) >> 6 << 4;
                min = u8(s, b + j + 4) >> 4 | u8(s, b + j) >> 6 << 4;
            }
            scales[g + j] = d * scale;
            mins[g + j] = -(dmin * min);
        }
    }

    private static void nibbles(MemorySegment s, long o, byte[] q, int at) {
        for (int j = 0; j < 16; j += Long.BYTES) {
            nibbles8(s, o + j, q, at + j, at + j + 16);
        }
    }

    /** Four times 32 bytes: the low nibbles are one group of 32, the high ones the next. */
    private static void nibbles64(MemorySegment s, long o, byte[] q, int at) {
        for (int j = 0; j < 128; j += Long.BYTES) {
            int to = at + (j >> 5) * 64 + (j & 31);
            nibbles8(s, o + j, q, to, to + 32);
        }
    }

    /** Eight bytes: low nibbles from {@code low} on, high ones from {@code high} on. */
    private static void nibbles8(MemorySegment s, long o, byte[] q, int low, int high) {
        long bytes = s.get(LONG, o);
        LONGS.set(q, low, bytes & 0x0F0F_0F0F_0F0F_0F0FL);
        LONGS.set(q, high, bytes >>> 4 & 0x0F0F_0F0F_0F0F_0F0FL);
    }

    private static void levels(LevelTable table, MemorySegment s, long o, byte[] q, int at) {
        for (int j = 0; j < 16; j++) {
            int b = u8(s, o + j);
            q[at + j] = table.level(b & 15);
            q[at + j + 16] = table.level(b >> 4);
        }
    }

    private static int u8(MemorySegment s, long o) {
        return s.get(JAVA_BYTE, o) & 0xFF;
    }

    private static float fp16(MemorySegment s, long o) {
        return Float.float16ToFloat(s.get(SHORT, o));
    }
}
