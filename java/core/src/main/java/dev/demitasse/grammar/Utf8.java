package dev.demitasse.grammar;

import java.util.ArrayList;
import java.util.List;

/**
 * Characters as sequences of ranges of bytes (UTF-8, RFC 3629; the splitting of ranges is Thompson's, as in Cox,
 * "Regular Expression Matching in the Wild", 2010).
 */
final class Utf8 {
    private static final int[] LONGEST = {0x7F, 0x7FF, 0xFFFF, CharSet.LAST}; // last characters of 1, 2, 3 and 4 bytes

    /** Bytes from {@code from} to {@code to}, both of them in it. */
    record ByteRange(int from, int to) {}

    private Utf8() {}

    /** Sequences of ranges whose bytes are those of the set's characters. */
    static List<List<ByteRange>> sequences(CharSet set) {
        List<List<ByteRange>> out = new ArrayList<>();
        for (CharSet.Range range : set.ranges()) {
            int from = range.from();
            for (int last : LONGEST) {
                if (from <= last && from <= range.to()) {
                    split(from, Math.min(range.to(), last), out);
                    from = last + 1;
                }
            }
        }
        return out;
    }

    /** Splits a range of characters of one length until its bytes vary from some place on in all of their bits. */
    private static void split(int from, int to, List<List<ByteRange>> out) {
        int length = length(from);
        for (int i = 1; i < length; i++) {
            int mask = (1 << 6 * i) - 1;
            if ((from & ~mask) != (to & ~mask)) {
                if ((from & mask) != 0) {
                    split(from, from | mask, out);
                    split((from | mask) + 1, to, out);
                    return;
                }
                if ((to & mask) != mask) {
                    split(from, (to & ~mask) - 1, out);
                    split(to & ~mask, to, out);
                    return;
                }
            }
        }
        List<ByteRange> sequence = new ArrayList<>(length);
        for (int i = 0; i < length; i++) {
            sequence.add(new ByteRange(byteOf(from, i, length), byteOf(to, i, length)));
        }
        out.add(sequence);
    }

    private static int length(int character) {
        int length = 1;
        while (character > LONGEST[length - 1]) {
            length++;
        }
        return length;
    }

    private static int byteOf(int character, int index, int length) {
        int bits = character >> 6 * (length - 1 - index);
        if (index > 0) {
            return 0x80 | bits & 0x3F;
        }
        return length == 1 ? bits : 0xF00 >> length & 0xFF | bits;
    }
}
