package dev.demitasse.quant;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Turns one block of 32 columns of a row straight into the words of its packed layout, where the file's order of bits allows it:
 * a quick load is made of this. The result is what {@link BlockCodec} and interleaving give.
 */
@FunctionalInterface
interface BlockWords {
    /** Writes the block's words, each 64 bytes after the one before: 4 of INT4, 8 of INT8. */
    void pack(MemorySegment block, long offset, MemorySegment out, long at);

    /** Low nibbles are columns 0 … 15, high ones 16 … 31, from {@code skip} bytes on. */
    static BlockWords nibbles(int skip) {
        ValueLayout.OfInt layout = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        return (block, offset, out, at) -> {
            for (int half = 0; half < 2; half++) {
                int first = block.get(layout, offset + skip + half * 8L);
                int second = block.get(layout, offset + skip + half * 8L + 4);
                out.set(layout, at + half * 64L, first & 0x0F0F0F0F | (second & 0x0F0F0F0F) << 4);
                out.set(layout, at + half * 64L + 128, first >>> 4 & 0x0F0F0F0F | second & 0xF0F0F0F0);
            }
        };
    }

    /** Bytes in order, from {@code skip} bytes on. */
    static BlockWords bytes(int skip) {
        ValueLayout.OfInt layout = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        return (block, offset, out, at) -> {
            for (int i = 0; i < 8; i++) {
                out.set(layout, at + i * 64L, block.get(layout, offset + skip + i * 4L));
            }
        };
    }
}
