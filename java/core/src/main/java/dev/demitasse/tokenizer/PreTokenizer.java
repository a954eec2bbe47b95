package dev.demitasse.tokenizer;

import dev.demitasse.UnsupportedModelException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Splits a text into the pieces within which byte pairs are merged. Each pattern in turn splits the pieces of the one before;
 * what a pattern does not match stays a piece.
 *
 * @param patterns applied in order
 * @param wholeWords whether a piece that is a token is that token, without merging (Llama 3)
 * @param addBos whether a begin-of-text token is the default
 */
record PreTokenizer(List<Pattern> patterns, boolean wholeWords, boolean addBos) {
    private static final String GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)";
    private static final String LLAMA3 = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
            + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String TEKKEN = "[^\\r\\n\\p{L}\\p{N}]?[\\p{L}&&[^a-z]]*[\\p{L}&&[^A-Z]]+"
            + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}&&[^a-z]]+[\\p{L}&&[^A-Z]]*"
            + "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    /** {@code tokenizer.ggml.pre} to its splitter, compiled when asked for. The patterns are those that the models were trained with. */
    private static final Map<String, Supplier<PreTokenizer>> BY_NAME = Map.of(
            "gpt-2", () -> of(false, false, GPT2),
            "smollm", () -> of(false, false, "\\p{N}", GPT2),
            "llama-bpe", () -> of(true, true, LLAMA3),
            "dbrx", () -> of(false, false, LLAMA3),
            "smaug-bpe", () -> of(false, false, LLAMA3),
            "qwen2", () -> of(false, false, LLAMA3.replace("\\p{N}{1,3}", "\\p{N}")),
            "tekken", () -> of(true, true, TEKKEN),
            "default", () -> of(false, false, "[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"));

    private static PreTokenizer of(boolean wholeWords, boolean addBos, String... patterns) {
        List<Pattern> compiled = new ArrayList<>();
        for (String pattern : patterns) {
            compiled.add(Pattern.compile(pattern, Pattern.UNICODE_CHARACTER_CLASS));
        }
        return new PreTokenizer(compiled, wholeWords, addBos);
    }

    static PreTokenizer named(String name) {
        Supplier<PreTokenizer> found = BY_NAME.get(name);
        if (found == null) {
            throw new UnsupportedModelException("The pre-tokenizer \"" + name + "\" is not supported; these are: "
                    + new TreeSet<>(BY_NAME.keySet()) + ".");
        }
        return found.get();
    }

    List<String> split(String text) {
        List<String> pieces = List.of(text);
        for (Pattern pattern : patterns) {
            List<String> next = new ArrayList<>(pieces.size());
            for (String piece : pieces) {
                Matcher matcher = pattern.matcher(piece);
                int end = 0;
                while (matcher.find()) {
                    if (matcher.start() > end) {
                        next.add(piece.substring(end, matcher.start()));
                    }
                    if (matcher.end() > matcher.start()) {
                        next.add(matcher.group());
                    }
                    end = matcher.end();
                }
                if (end < piece.length()) {
                    next.add(piece.substring(end));
                }
            }
            pieces = next;
        }
        return pieces;
    }
}
