package dev.demitasse.tokenizer;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** The splitters of byte-level BPE by what Hugging Face's {@code tokenizer.json} says of them. */
public final class Splitters {
    /** What {@code ByteLevel} with {@code use_regex} splits by: GPT-2's words. */
    public static final String WORDS = PreTokenizer.GPT2;
    /** What {@code Digits} splits by where each digit stands alone. */
    public static final String DIGIT = "\\p{N}";
    /** The same where they do not. */
    public static final String DIGITS = "\\p{N}+";

    private Splitters() {}

    /**
     * {@return the name in GGUF files ({@code tokenizer.ggml.pre}) of a splitter, or null where none is known}
     *
     * @param patterns applied in order
     * @param wholeWords whether a word that is a token is not merged ({@code ignore_merges})
     */
    public static @Nullable String named(List<String> patterns, boolean wholeWords) {
        return PreTokenizer.nameOf(patterns, wholeWords);
    }
}
