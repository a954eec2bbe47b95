package dev.demitasse.tokenizer;

import dev.demitasse.gguf.Metadata;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.PriorityQueue;

/**
 * SentencePiece's byte-pair encoding (Kudo and Richardson, 2018): spaces are spelled U+2581; of all neighbors whose
 * concatenation is a token, the one with the highest score (the first of equals) is merged; what is no token in the end
 * is spelled in bytes. A text of n characters takes O(n log n).
 */
final class SentencePieceTokenizer extends Tokenizer {
    private static final char SPACE = '\u2581';

    private final boolean addSpacePrefix;
    private final int longest;
    private final int[] byteIds = new int[256];

    SentencePieceTokenizer(Metadata metadata) {
        super(new Vocabulary(metadata), metadata.bool("tokenizer.ggml.add_bos_token", true));
        if (metadata.numbers("tokenizer.ggml.scores") == null) {
            throw metadata.bad("tokenizer.ggml.scores", "is missing; a llama tokenizer needs it");
        }
        addSpacePrefix = metadata.bool("tokenizer.ggml.add_space_prefix", true);
        int length = 1;
        for (int id = 0; id < vocabulary.size(); id++) {
            length = Math.max(length, vocabulary.token(id).length());
        }
        longest = length;
        for (int b = 0; b < 256; b++) {
            byteIds[b] = vocabulary.id("<0x" + HexFormat.of().withUpperCase().toHexDigits((byte) b) + ">");
        }
    }

    /** A candidate merge of {@code [from, middle)} and {@code [middle, to)}. */
    private record Candidate(float score, int from, int middle, int to) implements Comparable<Candidate> {
        @Override
        public int compareTo(Candidate other) {
            int byScore = Float.compare(other.score, score);
            return byScore != 0 ? byScore : Integer.compare(from, other.from);
        }
    }

    @Override
    void encodeFragment(String fragment, boolean first, IntList out) {
        String text = (addSpacePrefix && first ? " " + fragment : fragment).replace(' ', SPACE);
        int n = text.length();
        int[] end = new int[n]; // end of the symbol that begins here; 0 within a symbol
        int[] previous = new int[n]; // begin of the symbol before the one that begins here
        PriorityQueue<Candidate> queue = new PriorityQueue<>();
        int before = -1;
        for (int at = 0; at < n; at = end[at]) {
            end[at] = at + Character.charCount(text.codePointAt(at));
            previous[at] = before;
            before = at;
        }
        for (int at = 0; at < n; at = end[at]) {
            enqueue(queue, text, at, end);
        }
        while (!queue.isEmpty()) {
            Candidate merge = queue.remove();
            if (end[merge.from] != merge.middle || end[merge.middle] != merge.to) {
                continue; // one of the two was merged meanwhile
            }
            end[merge.from] = merge.to;
            end[merge.middle] = 0;
            if (merge.to < n) {
                previous[merge.to] = merge.from;
            }
            enqueue(queue, text, merge.from, end);
            if (previous[merge.from] >= 0) {
                enqueue(queue, text, previous[merge.from], end);
            }
        }
        for (int at = 0; at < n; at = end[at]) {
            emit(text.substring(at, end[at]), out);
        }
    }

    private void enqueue(PriorityQueue<Candidate> queue, String text, int from, int[] end) {
        int middle = end[from];
        if (middle >= text.length() || end[middle] - from > longest) {
            return;
        }
        int id = vocabulary.id(text.substring(from, end[middle]));
        if (id != Vocabulary.NONE) {
            queue.add(new Candidate(vocabulary.score(id), from, middle, end[middle]));
        }
    }

    private void emit(String symbol, IntList out) {
        int id = vocabulary.id(symbol);
        if (id != Vocabulary.NONE) {
            out.add(id);
            return;
        }
        for (byte b : symbol.getBytes(StandardCharsets.UTF_8)) {
            int byteId = byteIds[b & 0xFF] != Vocabulary.NONE ? byteIds[b & 0xFF] : vocabulary.unknown();
            if (byteId != Vocabulary.NONE) {
                out.add(byteId);
            }
        }
    }

    @Override
    void appendBytes(int id, ByteArrayOutputStream out) {
        if (vocabulary.isByte(id)) {
            for (int b = 0; b < 256; b++) {
                if (byteIds[b] == id) {
                    out.write(b);
                    return;
                }
            }
        }
        out.writeBytes(vocabulary.token(id).replace(SPACE, ' ').getBytes(StandardCharsets.UTF_8));
    }

    @Override
    String userDefined(String token) {
        return token.replace(SPACE, ' ');
    }
}
