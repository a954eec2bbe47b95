package dev.demitasse.quant;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The codecs of ggml's types of one to three bits; each method is one {@link BlockCodec}. {@code d} is FP16. All are
 * exact: what a code stands for is an integer times the scale of its group.
 */
final class CodebookCodecs {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private static final int[] POWERS_OF_THREE = {1, 3, 9, 27, 81};

    private CodebookCodecs() {}

    /** Rows of codebooks as arrays. */
    private static final class Rows {
        private static final byte[] IQ2_XXS = Codebook.IQ2_XXS.rows();
        private static final byte[] IQ2_XS = Codebook.IQ2_XS.rows();
        private static final byte[] IQ2_S = Codebook.IQ2_S.rows();
        private static final byte[] IQ3_XXS = Codebook.IQ3_XXS.rows();
        private static final byte[] IQ3_S = Codebook.IQ3_S.rows();
        private static final byte[] IQ1_S = Codebook.IQ1_S.rows();
    }

    /**
     * d; 8 groups of 32: four row numbers of 8 bits, then four times 7 signs and a 4-bit scale; value d (sc + 1/2) / 4
     * times the row's.
     */
    static void iq2_xxs(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o);
        for (int i = 0; i < 8; i++) {
            long group = o + 2 + i * 8L;
            int signs = s.get(INT, group + 4);
            scales[g + i] = d * (0.5f + (signs >>> 28)) * 0.25f;
            for (int row = 0; row < 4; row++) {
                int to = at + i * 32 + row * 8;
                put(Rows.IQ2_XXS, u8(s, group + row), 8, q, to);
                negate(evenSigns(signs >>> 7 * row & 127), q, to);
            }
        }
    }

    /** d, 32 times a row number of 9 bits and 7 signs, 16 scales of 4 bits, of 16 elements each; values as IQ2_XXS. */
    static void iq2_xs(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o);
        for (int row = 0; row < 32; row++) {
            int code = s.get(SHORT, o + 2 + row * 2L) & 0xFFFF;
            put(Rows.IQ2_XS, code & 511, 8, q, at + row * 8);
            negate(evenSigns(code >> 9), q, at + row * 8);
        }
        for (int i = 0; i < 16; i++) {
            scales[g + i] = d * (0.5f + nibble(s, o + 66, i)) * 0.25f;
        }
    }

    /**
     * d, 32 low bytes of row numbers, 32 bytes of signs, 8 bytes of their high pairs of bits, 16 scales of 4 bits;
     * values as IQ2_XXS.
     */
    static void iq2_s(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o);
        for (int row = 0; row < 32; row++) {
            int high = u8(s, o + 66 + row / 4) >> row % 4 * 2 & 3;
            put(Rows.IQ2_S, u8(s, o + 2 + row) | high << 8, 8, q, at + row * 8);
            negate(u8(s, o + 34 + row), q, at + row * 8);
        }
        for (int i = 0; i < 16; i++) {
            scales[g + i] = d * (0.5f + nibble(s, o + 74, i)) * 0.25f;
        }
    }

    /** d, 64 row numbers, 8 times 4 times 7 signs and a 4-bit scale of 32 elements; value d (sc + 1/2) / 2 times it. */
    static void iq3_xxs(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o);
        for (int row = 0; row < 64; row++) {
            put(Rows.IQ3_XXS, u8(s, o + 2 + row), 4, q, at + row * 4);
        }
        for (int i = 0; i < 8; i++) {
            int signs = s.get(INT, o + 66 + i * 4L);
            scales[g + i] = d * (0.5f + (signs >>> 28)) * 0.5f;
            for (int eight = 0; eight < 4; eight++) {
                negate(evenSigns(signs >>> 7 * eight & 127), q, at + i * 32 + eight * 8);
            }
        }
    }

    /**
     * d, 64 low bytes of row numbers, 8 bytes of their ninth bits, 32 bytes of signs, 8 scales of 4 bits; value
     * d (2 sc + 1) times the row's.
     */
    static void iq3_s(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o);
        for (int row = 0; row < 64; row++) {
            int high = u8(s, o + 66 + row / 8) >> row % 8 & 1;
            put(Rows.IQ3_S, u8(s, o + 2 + row) | high << 8, 4, q, at + row * 4);
        }
        for (int eight = 0; eight < 32; eight++) {
            negate(u8(s, o + 74 + eight), q, at + eight * 8);
        }
        for (int i = 0; i < 8; i++) {
            scales[g + i] = d * (1 + 2 * nibble(s, o + 106, i));
        }
    }

    /**
     * d, 32 low bytes of row numbers, 8 times four of their high 3 bits, a 3-bit scale and a sign; value d (2 sc + 1)
     * times the row's plus or minus 1/8, here in eighths.
     */
    static void iq1_s(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        float d = fp16(s, o);
        for (int i = 0; i < 8; i++) {
            int high = s.get(SHORT, o + 34 + i * 2L) & 0xFFFF;
            scales[g + i] = d * (2 * (high >> 12 & 7) + 1) * 0.125f;
            for (int row = 0; row < 4; row++) {
                int code = u8(s, o + 2 + i * 4L + row) | (high >> 3 * row & 7) << 8;
                eighths(code, (high & 0x8000) != 0, q, at + i * 32 + row * 8);
            }
        }
    }

    /**
     * 32 low bytes of row numbers, 32 nibbles of their high 3 bits and a sign, four times four 3-bit scales, of 16
     * elements each, and a quarter of d; values as IQ1_S.
     */
    static void iq1_m(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        int bits = 0;
        for (int i = 0; i < 4; i++) {
            bits |= (s.get(SHORT, o + 48 + i * 2L) >> 12 & 15) << 4 * i;
        }
        float d = Float.float16ToFloat((short) bits);
        for (int i = 0; i < 16; i++) {
            int scale = s.get(SHORT, o + 48 + i / 4 * 2L) >> i % 4 * 3 & 7;
            scales[g + i] = d * (2 * scale + 1) * 0.125f;
        }
        for (int row = 0; row < 32; row++) {
            int high = nibble(s, o + 32, row);
            eighths(u8(s, o + row) | (high & 7) << 8, (high & 8) != 0, q, at + row * 8);
        }
    }

    /** 48 bytes of five digits to base 3, 4 bytes of four, d; value d (digit - 1). Scales are those of 32 elements. */
    static void tq1_0(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        fill(scales, g, fp16(s, o + 52));
        int to = at;
        for (int[] part : new int[][] {{0, 32, 5}, {32, 16, 5}, {48, 4, 4}}) { // first byte, bytes, digits of each
            for (int digit = 0; digit < part[2]; digit++) {
                for (int i = 0; i < part[1]; i++) {
                    int byteOfDigit = u8(s, o + part[0] + i) * POWERS_OF_THREE[digit] & 0xFF;
                    q[to++] = ternary(byteOfDigit * 3 >> 8);
                }
            }
        }
    }

    /** 64 bytes of four pairs of bits, d; value d (pair - 1). Scales are those of 32 elements. */
    static void tq2_0(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        fill(scales, g, fp16(s, o + 64));
        for (int i = 0; i < 256; i++) {
            q[at + i] = ternary(u8(s, o + i / 128 * 32 + i % 32) >> i / 32 % 4 * 2 & 3);
        }
    }

    /** 4 scales E4M3 without sign, 4 times 8 bytes of E2M1: element j in byte j's low nibble, j + 8 in its high one. */
    static void nvfp4(MemorySegment s, long o, byte[] q, int at, float[] scales, float[] mins, int g) {
        for (int i = 0; i < 4; i++) {
            int scale = u8(s, o + i);
            int exponent = scale >> 3 & 15;
            float mantissa = scale & 7;
            float value = exponent == 0 ? mantissa * 0x1p-9f : Math.scalb(1 + mantissa / 8, exponent - 7);
            scales[g + i] = scale == 0x7F ? 0 : value * 0.5f;
            for (int j = 0; j < 8; j++) {
                int codes = u8(s, o + 4 + i * 8L + j);
                q[at + i * 16 + j] = LevelTable.FP4.level(codes & 15);
                q[at + i * 16 + j + 8] = LevelTable.FP4.level(codes >> 4);
            }
        }
    }

    private static void fill(float[] scales, int from, float scale) {
        for (int i = 0; i < 8; i++) {
            scales[from + i] = scale;
        }
    }

    /** -1, 0 or 1 as INT4 layouts have it. */
    private static byte ternary(int code) {
        return (byte) (code - 1 + 8);
    }

    private static void put(byte[] rows, int row, int width, byte[] q, int at) {
        System.arraycopy(rows, row * width, q, at, width);
    }

    private static void eighths(int row, boolean negative, byte[] q, int at) {
        for (int i = 0; i < 8; i++) {
            q[at + i] = (byte) (8 * Rows.IQ1_S[row * 8 + i] + (negative ? -1 : 1));
        }
    }

    /** Seven signs and the one that makes their number even. */
    private static int evenSigns(int seven) {
        return seven | (Integer.bitCount(seven) & 1) << 7;
    }

    private static void negate(int signs, byte[] q, int at) {
        for (int i = 0; i < 8; i++) {
            if ((signs >> i & 1) != 0) {
                q[at + i] = (byte) -q[at + i];
            }
        }
    }

    private static int nibble(MemorySegment s, long o, int i) {
        return u8(s, o + i / 2) >> i % 2 * 4 & 15;
    }

    private static int u8(MemorySegment s, long o) {
        return s.get(JAVA_BYTE, o) & 0xFF;
    }

    private static float fp16(MemorySegment s, long o) {
        return Float.float16ToFloat(s.get(SHORT, o));
    }
}
