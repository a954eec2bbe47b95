package dev.demitasse.tokenizer;

import dev.demitasse.gguf.Metadata;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.PriorityQueue;

/**
 * SentencePiece's byte-pair encoding (Kudo and Richardson, 2018): spaces are spelled U+2581; of all neighbors whose
 * concatenation is a token, the one with the highest score (the first of equals) is merged; what is no token in the end
 * is spelled in bytes. A text of n characters takes O(n log n).
 */
final class SentencePieceTokenizer extends Tokenizer {
    private final boolean addSpacePrefix;
    private final int longest;
    private final ByteTokens byteTokens;

    SentencePieceTokenizer(Metadata metadata) {
        this(metadata, new Vocabulary(metadata));
    }

    private SentencePieceTokenizer(Metadata metadata, Vocabulary vocabulary) {
        super(
                vocabulary,
                wanted(metadata, "add_bos_token", true, vocabulary.bos()),
                wanted(metadata, "add_eos_token", false, vocabulary.eos()));
        if (metadata.numbers("tokenizer.ggml.scores") == null) {
            throw metadata.bad("tokenizer.ggml.scores", "is missing; a llama tokenizer needs it");
        }
        addSpacePrefix = metadata.bool("tokenizer.ggml.add_space_prefix", true);
        int length = 1;
        for (int id = 0; id < vocabulary.size(); id++) {
            length = Math.max(length, vocabulary.token(id).length());
        }
        longest = length;
        byteTokens = new ByteTokens(vocabulary);
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
        byteTokens.spell(symbol, out);
    }

    @Override
    void appendBytes(int id, ByteArrayOutputStream out) {
        int single = byteTokens.of(id);
        if (single >= 0) {
            out.write(single);
        } else {
            out.writeBytes(withSpaces(vocabulary.token(id)).getBytes(StandardCharsets.UTF_8));
        }
    }

    @Override
    String userDefined(String token) {
        return withSpaces(token);
    }
}
