package dev.demitasse.tokenizer;

import dev.demitasse.gguf.Metadata;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What SentencePiece replaces before it cuts a text ({@code precompiled_charsmap}): a double-array trie of byte
 * sequences (Yata, Darts-clone), whose values are places in a list of replacements that end with 0. Its first four
 * bytes say how many the trie has; a unit has an offset (bits 10 to 30, times 256 where bit 9 is set), whether a value
 * follows (bit 8) and its byte (bits 0 to 7, and bit 31, which is 0); a value has bits 0 to 30.
 */
final class CharacterMap {
    /**
     * Bytes of a sequence, and of a replacement, at most. The longest replacement of NFKC has 33 (U+FDFA, 18
     * characters); much longer ones would make a short text fill the memory.
     */
    private static final int LONGEST = 64;

    private final int[] units;
    private final byte[] replacements;

    private CharacterMap(int[] units, byte[] replacements) {
        this.units = units;
        this.replacements = replacements;
    }

    /** The map of a file, or null where it has none. */
    static @Nullable CharacterMap read(Metadata metadata) {
        String key = "tokenizer.ggml.precompiled_charsmap";
        byte[] bytes = metadata.bytes(key);
        if (bytes == null || bytes.length == 0) {
            return null;
        }
        long size = bytes.length < 4 ? -1 : word(bytes, 0) & 0xFFFFFFFFL;
        if (size < 4 || size % 4 != 0 || 4 + size > bytes.length) {
            throw metadata.bad(key, "has " + bytes.length + " bytes, of which its trie would have " + size);
        }
        int[] units = new int[(int) size / 4];
        for (int i = 0; i < units.length; i++) {
            units[i] = word(bytes, 4 + 4 * i);
        }
        byte[] replacements = Arrays.copyOfRange(bytes, 4 + (int) size, bytes.length);
        if (replacements.length > 0 && replacements[replacements.length - 1] != 0) {
            throw metadata.bad(key, "ends within a replacement");
        }
        for (int i = 0, begin = 0; i < replacements.length; i++) {
            if (replacements[i] == 0) {
                begin = i + 1;
            } else if (i - begin >= LONGEST) {
                throw metadata.bad(key, "has a replacement of more than " + LONGEST + " bytes");
            }
        }
        return new CharacterMap(units, replacements);
    }

    private static int word(byte[] bytes, int at) {
        return bytes[at] & 0xFF | (bytes[at + 1] & 0xFF) << 8 | (bytes[at + 2] & 0xFF) << 16 | bytes[at + 3] << 24;
    }

    /**
     * The longest sequence that the map replaces.
     *
     * @param bytes of the sequence
     * @param from where its replacement begins
     * @param to where that ends
     */
    private record Match(int bytes, int from, int to) {}

    /** A text with what the map replaces replaced. */
    String apply(String text) {
        byte[] in = text.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream out = new ByteArrayOutputStream(in.length + 8);
        for (int at = 0; at < in.length; ) {
            Match match = match(in, at);
            if (match == null) {
                int length = length(in[at]);
                out.write(in, at, Math.min(length, in.length - at));
                at += length;
            } else {
                out.write(replacements, match.from, match.to - match.from);
                at += match.bytes;
            }
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(out.toByteArray()))
                    .toString();
        } catch (CharacterCodingException e) { // replacements of a damaged file
            return out.toString(StandardCharsets.UTF_8);
        }
    }

    /** Bytes of a character of UTF-8 that begins with {@code first}. */
    static int length(byte first) {
        return (first & 0x80) == 0 ? 1 : (first & 0xE0) == 0xC0 ? 2 : (first & 0xF0) == 0xE0 ? 3 : 4;
    }

    private @Nullable Match match(byte[] in, int at) {
        Match longest = null;
        int node = offset(units[0]);
        for (int i = at; i < in.length && i - at < LONGEST && in[i] != 0; i++) {
            node ^= in[i] & 0xFF;
            if (node < 0 || node >= units.length || (units[node] & 0x800000FF) != (in[i] & 0xFF)) {
                break;
            }
            int unit = units[node];
            node ^= offset(unit);
            if ((unit & 0x100) != 0) {
                int from = node >= 0 && node < units.length ? units[node] & 0x7FFFFFFF : replacements.length;
                if (from < replacements.length) {
                    int to = from;
                    while (replacements[to] != 0) {
                        to++;
                    }
                    longest = new Match(i + 1 - at, from, to);
                }
            }
        }
        return longest;
    }

    private static int offset(int unit) {
        return unit >>> 10 << ((unit & 0x200) >>> 6);
    }
}
