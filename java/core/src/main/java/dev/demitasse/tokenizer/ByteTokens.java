package dev.demitasse.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/** The tokens that stand for single bytes, spelled {@code <0xNN>}: what is no token itself is spelled in them. */
final class ByteTokens {
    private final Vocabulary vocabulary;
    private final int[] ids = new int[256];

    ByteTokens(Vocabulary vocabulary) {
        this.vocabulary = vocabulary;
        for (int b = 0; b < 256; b++) {
            ids[b] = vocabulary.id("<0x" + HexFormat.of().withUpperCase().toHexDigits((byte) b) + ">");
        }
    }

    /** Appends the ids of a text's UTF-8 bytes. */
    void spell(String text, IntList out) {
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            int id = ids[b & 0xFF] != Vocabulary.NONE ? ids[b & 0xFF] : vocabulary.unknown();
            if (id != Vocabulary.NONE) {
                out.add(id);
            }
        }
    }

    /** The byte that a token stands for, or -1 where it stands for none. */
    int of(int id) {
        for (int b = 0; b < 256 && vocabulary.isByte(id); b++) {
            if (ids[b] == id) {
                return b;
            }
        }
        return -1;
    }
}
