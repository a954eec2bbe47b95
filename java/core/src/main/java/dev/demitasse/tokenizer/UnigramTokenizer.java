package dev.demitasse.tokenizer;

import dev.demitasse.gguf.Metadata;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * SentencePiece's unigram model (Kudo, 2018): characters are replaced as the file's map says, spaces are spelled
 * U+2581, and of all ways to cut the text into tokens the likeliest is taken, by dynamic programming over its bytes
 * (Viterbi). A character that is no token costs 10 more than the least likely one, and runs of such characters are one
 * unknown token.
 */
final class UnigramTokenizer extends Tokenizer {
    private static final double UNKNOWN_PENALTY = 10;

    private final SortedTokens tokens;
    private final @Nullable CharacterMap map;
    private final boolean addSpacePrefix;
    private final boolean mergeSpaces;
    private final double unknownScore;

    UnigramTokenizer(Metadata metadata) {
        this(metadata, new Vocabulary(metadata));
    }

    private UnigramTokenizer(Metadata metadata, Vocabulary vocabulary) {
        super(
                vocabulary,
                wanted(metadata, "add_bos_token", false, vocabulary.begin()),
                wanted(metadata, "add_eos_token", true, vocabulary.end()));
        if (metadata.numbers("tokenizer.ggml.scores") == null) {
            throw metadata.bad("tokenizer.ggml.scores", "is missing; a t5 tokenizer needs it");
        }
        if (vocabulary.unknown() == Vocabulary.NONE) {
            throw metadata.bad("tokenizer.ggml.unknown_token_id", "is missing; a t5 tokenizer needs it");
        }
        tokens = new SortedTokens(vocabulary, id -> !vocabulary.isControl(id) && !vocabulary.isByte(id));
        map = CharacterMap.read(metadata);
        addSpacePrefix = metadata.bool("tokenizer.ggml.add_space_prefix", true);
        mergeSpaces = metadata.bool("tokenizer.ggml.remove_extra_whitespaces", true);
        double least = Double.POSITIVE_INFINITY;
        for (int id = 0; id < vocabulary.size(); id++) {
            if (!vocabulary.isControl(id) && !vocabulary.isUserDefined(id) && !vocabulary.isByte(id)) {
                least = Math.min(least, vocabulary.score(id));
            }
        }
        unknownScore = (Double.isFinite(least) ? least : 0) - UNKNOWN_PENALTY;
    }

    @Override
    void encodeFragment(String text, boolean first, IntList out) {
        byte[] bytes = spaced(map == null ? text : map.apply(text)).getBytes(StandardCharsets.UTF_8);
        double[] best = new double[bytes.length + 1]; // of the text up to there
        int[] last = new int[bytes.length + 1]; // the token that ends there
        int[] begin = new int[bytes.length + 1]; // where that begins
        Arrays.fill(best, 1, best.length, Double.NEGATIVE_INFINITY);
        SortedTokens.Walk walk = tokens.new Walk();
        for (int at = 0; at < bytes.length; ) {
            int character = Math.min(CharacterMap.length(bytes[at]), bytes.length - at);
            boolean known = false;
            walk.begin();
            for (int i = at; i < bytes.length && walk.step(bytes[i]); i++) {
                int id = walk.token();
                if (id != Vocabulary.NONE) {
                    known |= i + 1 - at == character;
                    double score = vocabulary.isUserDefined(id) ? 0 : vocabulary.score(id);
                    offer(best, last, begin, at, i + 1, id, score);
                }
            }
            if (!known) {
                offer(best, last, begin, at, at + character, vocabulary.unknown(), unknownScore);
            }
            at += character;
        }
        emit(last, begin, bytes.length, out);
    }

    private static void offer(double[] best, int[] last, int[] begin, int from, int to, int id, double score) {
        if (best[from] + score > best[to]) {
            best[to] = best[from] + score;
            last[to] = id;
            begin[to] = from;
        }
    }

    private void emit(int[] last, int[] begin, int end, IntList out) {
        IntList backwards = new IntList(8);
        for (int at = end; at > 0; at = begin[at]) {
            boolean goesOn = last[at] == vocabulary.unknown()
                    && backwards.size() > 0
                    && backwards.get(backwards.size() - 1) == vocabulary.unknown();
            if (!goesOn) {
                backwards.add(last[at]);
            }
        }
        for (int i = backwards.size() - 1; i >= 0; i--) {
            out.add(backwards.get(i));
        }
    }

    /** A text with its spaces as tokens spell them: one before each word, where several are merged. */
    private String spaced(String text) {
        StringBuilder spaced = new StringBuilder(text.length() + 8);
        boolean inWord = false;
        boolean begun = false;
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) == ' ') {
                inWord = false;
                if (!mergeSpaces) {
                    spaced.append(SPACE);
                }
                continue;
            }
            if (!inWord) {
                inWord = true;
                if (mergeSpaces || addSpacePrefix && !begun) {
                    spaced.append(SPACE);
                }
                begun = true;
            }
            spaced.append(text.charAt(i));
        }
        return spaced.toString();
    }

    @Override
    int[] separators() {
        return vocabulary.separator() == Vocabulary.NONE ? new int[0] : new int[] {vocabulary.separator()};
    }

    @Override
    void appendBytes(int id, ByteArrayOutputStream out) {
        out.writeBytes(withSpaces(vocabulary.token(id)).getBytes(StandardCharsets.UTF_8));
    }

    @Override
    String userDefined(String token) {
        return withSpaces(token);
    }
}
