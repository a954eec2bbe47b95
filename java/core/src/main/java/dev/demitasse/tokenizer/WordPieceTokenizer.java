package dev.demitasse.tokenizer;

import dev.demitasse.gguf.Metadata;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;

/**
 * WordPiece (Devlin et al., "BERT", 2018): words are cut out at spaces, punctuation and Chinese characters; of a word
 * the longest token that it begins with is taken, then the longest that the rest begins with, and so on. A word that no
 * tokens spell is the unknown token. Files spell the beginning of a word U+2581.
 *
 * <p>Letters are made lower case and lose accents and marks, unless the vocabulary has words that begin with A to Z.
 */
final class WordPieceTokenizer extends Tokenizer {
    private final SortedTokens tokens;
    private final boolean cased;
    private final int unknown;

    WordPieceTokenizer(Metadata metadata) {
        this(new Vocabulary(metadata));
    }

    private WordPieceTokenizer(Vocabulary vocabulary) {
        super(
                vocabulary,
                orNamed(vocabulary, vocabulary.classifier(), "[CLS]"),
                orNamed(vocabulary, vocabulary.separator(), "[SEP]"));
        tokens = new SortedTokens(vocabulary, id -> !vocabulary.isControl(id));
        unknown = orNamed(vocabulary, vocabulary.unknown(), "[UNK]");
        boolean upper = false;
        for (int id = 0; id < vocabulary.size(); id++) {
            String token = vocabulary.token(id);
            upper |= token.length() > 1 && token.charAt(0) == SPACE && token.charAt(1) >= 'A' && token.charAt(1) <= 'Z';
        }
        cased = upper;
    }

    private static int orNamed(Vocabulary vocabulary, int id, String name) {
        return id == Vocabulary.NONE ? vocabulary.id(name) : id;
    }

    @Override
    void encodeFragment(String text, boolean first, IntList out) {
        SortedTokens.Walk walk = tokens.new Walk();
        for (String word : words(text)) {
            byte[] bytes = (SPACE + word).getBytes(StandardCharsets.UTF_8);
            int before = out.size();
            for (int at = 0; at < bytes.length; ) {
                walk.begin();
                int longest = Vocabulary.NONE;
                int end = at;
                for (int i = at; i < bytes.length && walk.step(bytes[i]); i++) {
                    if (walk.token() != Vocabulary.NONE) {
                        longest = walk.token();
                        end = i + 1;
                    }
                }
                if (longest == Vocabulary.NONE) {
                    out.truncate(before);
                    break;
                }
                out.add(longest);
                at = end;
            }
            if (out.size() == before && unknown != Vocabulary.NONE) {
                out.add(unknown);
            }
        }
    }

    private List<String> words(String text) {
        List<String> words = new ArrayList<>();
        StringBuilder word = new StringBuilder();
        text.codePoints().forEach(original -> {
            int c = cased ? original : withoutAccent(original);
            if (isSpace(c)) {
                end(word, words);
            } else if (c != 0 && c != 0xFFFD && !isControl(c) && (cased || !isMark(c))) {
                int letter = cased ? c : Character.toLowerCase(c);
                if (standsAlone(c)) {
                    end(word, words);
                    words.add(Character.toString(letter));
                } else {
                    word.appendCodePoint(letter);
                }
            }
        });
        end(word, words);
        return words;
    }

    private static void end(StringBuilder word, List<String> words) {
        if (!word.isEmpty()) {
            words.add(word.toString());
            word.setLength(0);
        }
    }

    /** The first code point of a character's canonical decomposition (of Korean syllables that is their consonant). */
    private static int withoutAccent(int c) {
        return c < 0x80
                ? c
                : Normalizer.normalize(Character.toString(c), Normalizer.Form.NFD)
                        .codePointAt(0);
    }

    private static boolean isSpace(int c) {
        return c >= '\t' && c <= '\r' || c == 0x85 || Character.isSpaceChar(c);
    }

    private static boolean isControl(int c) {
        return switch (Character.getType(c)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED -> true;
            default -> false;
        };
    }

    private static boolean isMark(int c) {
        int type = Character.getType(c);
        return type == Character.NON_SPACING_MARK
                || type == Character.COMBINING_SPACING_MARK
                || type == Character.ENCLOSING_MARK;
    }

    private static boolean standsAlone(int c) {
        return switch (Character.getType(c)) {
            case Character.CONNECTOR_PUNCTUATION,
                    Character.DASH_PUNCTUATION,
                    Character.START_PUNCTUATION,
                    Character.END_PUNCTUATION,
                    Character.INITIAL_QUOTE_PUNCTUATION,
                    Character.FINAL_QUOTE_PUNCTUATION,
                    Character.OTHER_PUNCTUATION -> true;
            case Character.MATH_SYMBOL, Character.CURRENCY_SYMBOL, Character.MODIFIER_SYMBOL, Character.OTHER_SYMBOL ->
                c < 0x7F;
            default -> isChinese(c);
        };
    }

    private static boolean isChinese(int c) {
        return c >= 0x4E00 && c <= 0x9FFF
                || c >= 0x3400 && c <= 0x4DBF
                || c >= 0x20000 && c <= 0x2A6DF
                || c >= 0x2A700 && c <= 0x2CEAF
                || c >= 0xF900 && c <= 0xFAFF
                || c >= 0x2F800 && c <= 0x2FA1F;
    }

    @Override
    void appendBytes(int id, ByteArrayOutputStream out) {
        out.writeBytes(withSpaces(vocabulary.token(id)).getBytes(StandardCharsets.UTF_8));
    }
}
