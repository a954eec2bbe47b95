package dev.demitasse.tokenizer;

import dev.demitasse.gguf.Metadata;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Byte-pair encoding of characters (Gemma 4 and kin): spaces are spelled U+2581; the characters of each line, and of
 * the line feeds between, are merged in the order of the file's merge list ({@link PairMerges}), but for line feeds
 * that are a token together; what is no token is spelled in bytes.
 */
final class CharacterPairTokenizer extends Tokenizer {
    /** Splitters whose files call themselves byte-level, and are not. */
    static final Set<String> SPLITTERS = Set.of("gemma4", "granite-embed-multi-311m", "sarvam-moe");

    private static final Pattern LINES = Pattern.compile("[^\n]+|\n+");

    private final PairMerges merges;
    private final ByteTokens byteTokens;

    CharacterPairTokenizer(Metadata metadata) {
        this(metadata, new Vocabulary(metadata));
    }

    private CharacterPairTokenizer(Metadata metadata, Vocabulary vocabulary) {
        super(
                vocabulary,
                metadata.string("tokenizer.ggml.model").equals("gemma4")
                        ? vocabulary.bos() // files of the first weeks say no, and are wrong
                        : wanted(metadata, "add_bos_token", false, vocabulary.begin()),
                wanted(metadata, "add_eos_token", false, vocabulary.end()));
        merges = new PairMerges(metadata, vocabulary);
        byteTokens = new ByteTokens(vocabulary);
    }

    @Override
    void encodeFragment(String text, boolean first, IntList out) {
        Matcher line = LINES.matcher(text.replace(' ', SPACE));
        while (line.find()) {
            int whole = line.group().charAt(0) == '\n' ? vocabulary.id(line.group()) : Vocabulary.NONE;
            if (whole != Vocabulary.NONE) {
                out.add(whole);
                continue;
            }
            int[] symbols = line.group().codePoints().map(this::symbol).toArray();
            int n = merges.merge(symbols, symbols.length);
            for (int i = 0; i < n; i++) {
                if (symbols[i] < vocabulary.size()) {
                    out.add(symbols[i]);
                } else {
                    byteTokens.spell(Character.toString(symbols[i] - vocabulary.size()), out);
                }
            }
        }
    }

    /** The id of a character; beyond the vocabulary where it is no token. */
    private int symbol(int codePoint) {
        int id = vocabulary.id(Character.toString(codePoint));
        return id == Vocabulary.NONE ? vocabulary.size() + codePoint : id;
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
