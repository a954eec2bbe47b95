package dev.demitasse.tokenizer;

import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Metadata;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Text to token ids and back, as the model's file defines it. Immutable and thread-safe. */
public abstract class Tokenizer {
    /** How SentencePiece, and what is alike, spells a space. */
    static final char SPACE = '\u2581';

    final Vocabulary vocabulary;
    private final SpecialTokens specialTokens;
    private final int begin; // token, or NONE
    private final int end;

    /**
     * A tokenizer.
     *
     * @param begin token that begins a text; {@link Vocabulary#NONE} for none
     * @param end token that ends a whole one; {@link Vocabulary#NONE} for none
     */
    Tokenizer(Vocabulary vocabulary, int begin, int end) {
        this.vocabulary = vocabulary;
        this.begin = begin;
        this.end = end;
        this.specialTokens = new SpecialTokens(vocabulary);
    }

    /**
     * {@return the tokenizer that {@code tokenizer.ggml.model} names}
     *
     * @param metadata of the model's file
     * @throws UnsupportedModelException where it names one that is not there
     * @throws dev.demitasse.exception.ModelFormatException where the vocabulary contradicts itself
     */
    public static Tokenizer of(Metadata metadata) {
        String model = metadata.string("tokenizer.ggml.model");
        return switch (model) {
            case "gpt2" ->
                CharacterPairTokenizer.SPLITTERS.contains(String.valueOf(metadata.string("tokenizer.ggml.pre", null)))
                        ? new CharacterPairTokenizer(metadata)
                        : new BytePairTokenizer(metadata);
            case "llama" -> new SentencePieceTokenizer(metadata);
            case "gemma4" -> new CharacterPairTokenizer(metadata);
            case "bert" -> new WordPieceTokenizer(metadata);
            case "t5" -> new UnigramTokenizer(metadata);
            default ->
                throw new UnsupportedModelException("The tokenizer \"" + model
                        + "\" is not supported; gpt2 (byte-level BPE), llama (SentencePiece BPE),"
                        + " gemma4 (BPE of characters), bert (WordPiece) and t5 (unigram) are.");
        };
    }

    /**
     * {@return the ids of a text, with nothing added}
     *
     * @param text any text
     * @param parseSpecial whether the spelling of a control token in the text becomes that token; false for anything
     *     that a user typed
     */
    public final int[] encode(String text, boolean parseSpecial) {
        return encode(text, parseSpecial, '\0', false);
    }

    private int[] encode(String text, boolean parseSpecial, char mark, boolean marked) {
        IntList out = new IntList(text.length() / 3 + 8);
        boolean afterSpecial = true;
        for (SpecialTokens.Fragment fragment : specialTokens.split(text, parseSpecial)) {
            if (fragment.id() != Vocabulary.NONE) {
                out.add(fragment.id());
                afterSpecial = true;
            } else {
                String piece = text.substring(fragment.from(), fragment.to());
                encodeFragment(marked ? piece.replace(String.valueOf(mark), "") : piece, afterSpecial, out);
                afterSpecial = false;
            }
        }
        return out.toArray();
    }

    /**
     * {@return {@link #encode(String, boolean)} of a text from which {@code mark} is removed after special tokens are
     * cut out}
     *
     * @param text any text
     * @param parseSpecial whether the spelling of a control token in the text becomes that token
     * @param mark what is in spellings that shall stay text
     */
    public final int[] encode(String text, boolean parseSpecial, char mark) {
        return encode(text, parseSpecial, mark, text.indexOf(mark) >= 0);
    }

    /**
     * {@return {@link #encode} with the begin-of-text token in front where the model's file asks for one}
     *
     * @param text any text
     * @param parseSpecial whether the spelling of a control token in the text becomes that token
     */
    public final int[] encodePrompt(String text, boolean parseSpecial) {
        return withBos(encode(text, parseSpecial), parseSpecial);
    }

    /**
     * {@return {@link #encodePrompt(String, boolean)} of a text from which {@code mark} is removed after special tokens
     * are cut out}
     *
     * @param text any text
     * @param parseSpecial whether the spelling of a control token in the text becomes that token
     * @param mark what is in spellings that shall stay text
     */
    public final int[] encodePrompt(String text, boolean parseSpecial, char mark) {
        return withBos(encode(text, parseSpecial, mark), parseSpecial);
    }

    private int[] withBos(int[] ids, boolean parseSpecial) {
        if (begin == Vocabulary.NONE || parseSpecial && ids.length > 0 && ids[0] == begin) {
            return ids;
        }
        int[] withBos = new int[ids.length + 1];
        withBos[0] = begin;
        System.arraycopy(ids, 0, withBos, 1, ids.length);
        return withBos;
    }

    /**
     * {@return {@link #encodePrompt} with the end-of-text token behind where the model's file asks for one: a whole
     * text}
     *
     * @param text any text
     * @param parseSpecial whether the spelling of a control token in the text becomes that token
     */
    public final int[] encodeWhole(String text, boolean parseSpecial) {
        int[] ids = encodePrompt(text, parseSpecial);
        if (end == Vocabulary.NONE || parseSpecial && ids.length > 0 && ids[ids.length - 1] == end) {
            return ids;
        }
        int[] whole = Arrays.copyOf(ids, ids.length + 1);
        whole[ids.length] = end;
        return whole;
    }

    /**
     * Two texts that a model reads together.
     *
     * @param ids tokens of both, with what begins, separates and ends them
     * @param types of each token, which of the two it belongs to: 0 or 1
     */
    public record Pair(int[] ids, int[] types) {
        /**
         * Tokens of the first kind alone.
         *
         * @param ids the tokens
         */
        public Pair(int[] ids) {
            this(ids, new int[ids.length]);
        }
    }

    /**
     * {@return two texts, one after the other, each ended, with what separates them} Control tokens are not parsed in
     * them.
     *
     * @param first the text whose tokens are of kind 0
     * @param second the text whose tokens, with what separates the two, are of kind 1
     */
    public final Pair encodePair(String first, String second) {
        int[] a = encodeWhole(first, false);
        int[] b = encode(second, false);
        int[] between = separators();
        int closing = end == Vocabulary.NONE ? 0 : 1;
        int[] ids = Arrays.copyOf(a, a.length + between.length + b.length + closing);
        System.arraycopy(between, 0, ids, a.length, between.length);
        System.arraycopy(b, 0, ids, a.length + between.length, b.length);
        if (closing == 1) {
            ids[ids.length - 1] = end;
        }
        int[] types = new int[ids.length];
        Arrays.fill(types, a.length, types.length, 1);
        return new Pair(ids, types);
    }

    /** What comes between two texts beside the end of the first. */
    int[] separators() {
        return new int[0];
    }

    /**
     * {@return whether a token is the one that ends a whole text}
     *
     * @param id any integer
     */
    public final boolean isClosing(int id) {
        return id == end && id != Vocabulary.NONE;
    }

    /** A token where the file asks for it, else {@link Vocabulary#NONE}. */
    static int wanted(Metadata metadata, String key, boolean otherwise, int token) {
        return metadata.bool("tokenizer.ggml." + key, otherwise) ? token : Vocabulary.NONE;
    }

    /**
     * Appends the ids of a text without special tokens; {@code first} where nothing or a special token is before it.
     */
    abstract void encodeFragment(String text, boolean first, IntList out);

    /** Appends the bytes that a token which is neither control nor user-defined stands for. */
    abstract void appendBytes(int id, ByteArrayOutputStream out);

    /**
     * {@return the UTF-8 bytes that a token stands for, perhaps a part of a character}
     *
     * @param id a token of the vocabulary
     * @param showSpecial whether control tokens are spelled out; else they are empty
     * @throws UsageException where it is none
     */
    public final byte[] bytes(int id, boolean showSpecial) {
        if (id < 0 || id >= vocabulary.size()) {
            throw new UsageException("Token " + id + " is not in the vocabulary of " + vocabulary.size() + " tokens.");
        }
        if (vocabulary.isControl(id)) {
            return showSpecial ? vocabulary.token(id).getBytes(StandardCharsets.UTF_8) : new byte[0];
        }
        if (vocabulary.isUserDefined(id)) {
            return userDefined(vocabulary.token(id)).getBytes(StandardCharsets.UTF_8);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        appendBytes(id, out);
        return out.toByteArray();
    }

    /** A token's text, where its spaces are spelled {@link #SPACE}. */
    static String withSpaces(String token) {
        return token.replace(SPACE, ' ');
    }

    /** The text of a user-defined token from its spelling in the file. */
    String userDefined(String token) {
        return token;
    }

    /**
     * {@return the text of ids; bytes that are no UTF-8 become U+FFFD}
     *
     * @param ids tokens of the vocabulary
     */
    public final String decode(int... ids) {
        TokenDecoder decoder = decoder();
        StringBuilder text = new StringBuilder();
        for (int id : ids) {
            text.append(decoder.append(id));
        }
        return text.append(decoder.finish()).toString();
    }

    /** {@return a decoder for ids that come one at a time} */
    public final TokenDecoder decoder() {
        return new TokenDecoder(this);
    }

    /** {@return the vocabulary} */
    public final Vocabulary vocabulary() {
        return vocabulary;
    }
}
