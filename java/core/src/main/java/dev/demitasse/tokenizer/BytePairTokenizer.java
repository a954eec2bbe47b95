package dev.demitasse.tokenizer;

import dev.demitasse.gguf.Metadata;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Set;

/**
 * Byte-level byte-pair encoding (GPT-2): UTF-8 bytes, spelled as printable characters in the vocabulary, are merged in
 * the order of the file's merge list ({@link PairMerges}).
 */
final class BytePairTokenizer extends Tokenizer {
    private static final System.Logger LOG = System.getLogger(BytePairTokenizer.class.getName());
    private static final char[] BYTE_TO_CHAR = new char[256];
    private static final int[] CHAR_TO_BYTE = new int[512];

    static {
        Arrays.fill(CHAR_TO_BYTE, -1);
        int next = 256;
        for (int b = 0; b < 256; b++) {
            boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
            BYTE_TO_CHAR[b] = (char) (printable ? b : next++);
            CHAR_TO_BYTE[BYTE_TO_CHAR[b]] = b;
        }
    }

    private static final Set<String> DOUBLE_SEPARATORS = Set.of("roberta-bpe", "jina-v1-en", "jina-v2-code");

    private final PreTokenizer preTokenizer;
    private final PairMerges merges;
    private final boolean doubleSeparator;
    private final int[] byteIds = new int[256];

    BytePairTokenizer(Metadata metadata) {
        this(metadata, PreTokenizer.named(preTokenizer(metadata)), new Vocabulary(metadata));
    }

    private BytePairTokenizer(Metadata metadata, PreTokenizer preTokenizer, Vocabulary vocabulary) {
        super(
                vocabulary,
                wanted(metadata, "add_bos_token", preTokenizer.addBos(), vocabulary.begin()),
                wanted(metadata, "add_eos_token", false, vocabulary.end()));
        this.preTokenizer = preTokenizer;
        doubleSeparator = DOUBLE_SEPARATORS.contains(String.valueOf(metadata.string("tokenizer.ggml.pre", null)));
        merges = new PairMerges(metadata, vocabulary);
        for (int b = 0; b < 256; b++) {
            byteIds[b] = vocabulary.id(String.valueOf(BYTE_TO_CHAR[b]));
        }
    }

    /** RoBERTa's pairs of texts have two tokens between them. */
    @Override
    int[] separators() {
        int separator = vocabulary.separator() == Vocabulary.NONE ? vocabulary.end() : vocabulary.separator();
        return doubleSeparator && separator != Vocabulary.NONE ? new int[] {separator} : new int[0];
    }

    private static String preTokenizer(Metadata metadata) {
        String name = metadata.string("tokenizer.ggml.pre", null);
        if (name == null) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "The model''s file names no pre-tokenizer (tokenizer.ggml.pre); texts are cut by the default"
                            + " one, which"
                            + " may not be what the model was trained with");
            return "default";
        }
        return name;
    }

    @Override
    void encodeFragment(String text, boolean first, IntList out) {
        for (String piece : preTokenizer.split(text)) {
            byte[] bytes = piece.getBytes(StandardCharsets.UTF_8);
            if (preTokenizer.wholeWords()) {
                int whole = vocabulary.id(spell(bytes));
                if (whole != Vocabulary.NONE) {
                    out.add(whole);
                    continue;
                }
            }
            merge(bytes, out);
        }
    }

    private static String spell(byte[] bytes) {
        char[] chars = new char[bytes.length];
        for (int i = 0; i < bytes.length; i++) {
            chars[i] = BYTE_TO_CHAR[bytes[i] & 0xFF];
        }
        return new String(chars);
    }

    private void merge(byte[] bytes, IntList out) {
        int n = 0;
        int[] symbols = new int[bytes.length];
        for (byte b : bytes) {
            int id = byteIds[b & 0xFF] != Vocabulary.NONE ? byteIds[b & 0xFF] : vocabulary.unknown();
            if (id != Vocabulary.NONE) {
                symbols[n++] = id;
            }
        }
        n = merges.merge(symbols, n);
        for (int i = 0; i < n; i++) {
            out.add(symbols[i]);
        }
    }

    @Override
    void appendBytes(int id, ByteArrayOutputStream out) {
        String token = vocabulary.token(id);
        for (int i = 0; i < token.length(); i++) {
            char c = token.charAt(i);
            if (c < CHAR_TO_BYTE.length && CHAR_TO_BYTE[c] >= 0) {
                out.write(CHAR_TO_BYTE[c]);
            } else {
                out.writeBytes(String.valueOf(c).getBytes(StandardCharsets.UTF_8));
            }
        }
    }
}
