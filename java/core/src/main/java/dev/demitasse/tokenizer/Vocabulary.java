package dev.demitasse.tokenizer;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.gguf.Metadata;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The tokens of a model as its file lists them ({@code tokenizer.ggml.*}). */
public final class Vocabulary {
    /** Id that stands for "the file names no such token". */
    public static final int NONE = -1;

    private static final int TYPE_UNKNOWN = 2;
    private static final int TYPE_CONTROL = 3;
    private static final int TYPE_USER_DEFINED = 4;
    private static final int TYPE_BYTE = 6;

    /** Tokens that end a turn, and are control tokens, whatever the file says of them: nobody writes these as text. */
    private static final Set<String> END_NAMES = Set.of(
            "<|eot_id|>",
            "<|im_end|>",
            "<|end|>",
            "<end_of_turn>",
            "<turn|>",
            "<|tool_response>",
            "<|endoftext|>",
            "<|eom_id|>",
            "<|end_of_text|>",
            "<|return|>",
            "<|call|>",
            "<end_of_utterance>",
            "[EOT]",
            "[EOS]",
            "<EOT>",
            "_<EOT>");
    /** Where all of these are tokens, a turn has several messages, which the last one ends: gpt-oss (Harmony). */
    private static final List<String> MESSAGES = List.of("<|return|>", "<|call|>", "<|end|>");
    /** Ends a turn only where the file calls it a control token: in Gemma's vocabulary it is the HTML tag. */
    private static final String AMBIGUOUS_END = "</s>";

    private final String[] tokens;
    private final int[] types;
    private final float[] scores;
    private final Map<String, Integer> ids;
    private final int bos;
    private final int eos;
    private final int unknown;
    private final int classifier;
    private final int separator;
    private final int[] suppressed;
    private final BitSet ends = new BitSet();

    /**
     * Reads the vocabulary.
     *
     * @param metadata of the model's file
     * @throws ModelFormatException where lengths differ or a special id is out of range
     */
    public Vocabulary(Metadata metadata) {
        tokens = list(metadata);
        int[] typeList = metadata.integers("tokenizer.ggml.token_type");
        types = typeList == null ? new int[tokens.length] : typeList.clone();
        float[] scoreList = metadata.numbers("tokenizer.ggml.scores");
        scores = scoreList == null ? new float[tokens.length] : scoreList;
        if (types.length != tokens.length) {
            throw metadata.bad("tokenizer.ggml.token_type", lengths(types.length));
        }
        if (scores.length != tokens.length) {
            throw metadata.bad("tokenizer.ggml.scores", lengths(scores.length));
        }
        ids = HashMap.newHashMap(tokens.length);
        for (int id = 0; id < tokens.length; id++) {
            ids.putIfAbsent(tokens[id], id);
        }
        bos = special(metadata, "bos_token_id");
        eos = special(metadata, "eos_token_id");
        unknown = special(metadata, "unknown_token_id");
        special(metadata, "padding_token_id");
        classifier = special(metadata, "cls_token_id");
        separator = special(metadata, "seperator_token_id"); // files spell it so
        suppressed = suppressed(metadata);
        markEnd(eos);
        markEnd(special(metadata, "eot_token_id"));
        markEnd(special(metadata, "eom_token_id"));
        for (String name : END_NAMES) {
            Integer id = ids.get(name);
            if (id != null) {
                types[id] = TYPE_CONTROL;
                ends.set(id);
            }
        }
        if (ids.keySet().containsAll(MESSAGES)) {
            ends.clear(id(MESSAGES.getLast()));
        }
        Integer ambiguous = ids.get(AMBIGUOUS_END);
        if (ambiguous != null && types[ambiguous] == TYPE_CONTROL) {
            ends.set(ambiguous);
        }
    }

    /**
     * {@return number of tokens, without building the vocabulary}
     *
     * @param metadata of the model's file
     */
    public static int count(Metadata metadata) {
        return list(metadata).length;
    }

    private static String[] list(Metadata metadata) {
        String[] list = metadata.strings("tokenizer.ggml.tokens");
        if (list == null || list.length == 0) {
            throw metadata.bad("tokenizer.ggml.tokens", "is missing or empty; the file has no vocabulary");
        }
        return list;
    }

    private String lengths(int length) {
        return "has " + length + " entries for " + tokens.length + " tokens";
    }

    private int special(Metadata metadata, String name) {
        String key = "tokenizer.ggml." + name;
        if (!metadata.has(key) || metadata.isMinusOne(key)) {
            return NONE; // -1 stands for "no such token" in files
        }
        int id = metadata.integer(key);
        if (id < 0 || id >= tokens.length) {
            throw metadata.bad(key, "is " + id + "; the vocabulary has " + tokens.length + " tokens");
        }
        return id;
    }

    private int[] suppressed(Metadata metadata) {
        String key = "tokenizer.ggml.suppress_tokens";
        int[] list = metadata.integers(key);
        if (list == null) {
            return new int[0];
        }
        for (int id : list) {
            if (id < 0 || id >= tokens.length) {
                throw metadata.bad(key, "lists " + id + "; the vocabulary has " + tokens.length + " tokens");
            }
        }
        return list.clone();
    }

    private void markEnd(int id) {
        if (id != NONE) {
            ends.set(id);
        }
    }

    /** {@return number of tokens} */
    public int size() {
        return tokens.length;
    }

    /**
     * {@return a token as the file spells it}
     *
     * @param id 0 to below {@link #size}
     */
    public String token(int id) {
        return tokens[id];
    }

    /**
     * {@return the id of a token that the file spells so, or {@link #NONE}}
     *
     * @param token its spelling
     */
    public int id(String token) {
        return ids.getOrDefault(token, NONE);
    }

    /**
     * {@return the score of a SentencePiece token: higher is merged earlier, or a likelier piece}
     *
     * @param id 0 to below {@link #size}
     */
    public float score(int id) {
        return scores[id];
    }

    /**
     * {@return whether a token controls the model and is no text}
     *
     * @param id 0 to below {@link #size}
     */
    public boolean isControl(int id) {
        return types[id] == TYPE_CONTROL || types[id] == TYPE_UNKNOWN;
    }

    /**
     * {@return whether a token was added by the model's authors and is cut out of any text before merging}
     *
     * @param id 0 to below {@link #size}
     */
    public boolean isUserDefined(int id) {
        return types[id] == TYPE_USER_DEFINED;
    }

    /**
     * {@return whether a token stands for one byte, spelled {@code <0xNN>}}
     *
     * @param id 0 to below {@link #size}
     */
    public boolean isByte(int id) {
        return types[id] == TYPE_BYTE;
    }

    /**
     * {@return whether generation ends with this token}
     *
     * @param id 0 to below {@link #size}
     */
    public boolean isEnd(int id) {
        return ends.get(id);
    }

    /**
     * {@return tokens that the model is never to generate ({@code tokenizer.ggml.suppress_tokens}), none most often}
     */
    public int[] suppressed() {
        return suppressed.clone();
    }

    /** {@return the token that begins a text, or {@link #NONE}} */
    public int bos() {
        return bos;
    }

    /** {@return the token that ends a text, or {@link #NONE}} */
    public int eos() {
        return eos;
    }

    /** {@return the token that begins a text of an encoder, or {@link #NONE}} */
    public int classifier() {
        return classifier;
    }

    /** {@return the token that ends a text of an encoder, or {@link #NONE}} */
    public int separator() {
        return separator;
    }

    /** The token that begins a text, be it of a generator or of an encoder, or {@link #NONE}. */
    int begin() {
        return bos == NONE ? classifier : bos;
    }

    /** The token that ends a text, be it of a generator or of an encoder, or {@link #NONE}. */
    int end() {
        return eos == NONE ? separator : eos;
    }

    /** {@return the token for what cannot be spelled, or {@link #NONE}} */
    public int unknown() {
        return unknown;
    }
}
