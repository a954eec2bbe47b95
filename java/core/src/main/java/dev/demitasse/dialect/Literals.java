package dev.demitasse.dialect;

import dev.demitasse.json.Json;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Reads values as Python and Gemma 4 write them: strings in {@code "}, {@code '} or {@code <|"|>}, numbers, lists,
 * mappings whose keys may be bare words, and the words of both for true, false and nothing.
 */
final class Literals {
    private static final List<String> QUOTES = List.of("<|\"|>", "\"", "'");
    private static final int MOST_LEVELS = 200;

    private final String text;
    private int at;
    private int level;

    Literals(String text) {
        this.text = text;
    }

    /** What is written is no value. */
    static final class MalformedException extends Exception {
        private static final long serialVersionUID = 1;

        MalformedException(String expected, int at) {
            super(expected + " is missing at " + at);
        }
    }

    /** Goes behind {@code token} if it is next, after white space. */
    boolean skip(String token) {
        skipSpace();
        boolean there = text.startsWith(token, at);
        at += there ? token.length() : 0;
        return there;
    }

    /** Goes behind {@code token}, which is next. */
    void expect(String token) throws MalformedException {
        if (!skip(token)) {
            throw new MalformedException(token, at);
        }
    }

    /** Where it is. */
    int position() {
        return at;
    }

    /** A value as Python writes it. */
    static String write(@Nullable Object value) {
        return switch (value) {
            case null -> "None";
            case Boolean flag -> flag ? "True" : "False";
            case List<?> list -> list.stream().map(Literals::write).collect(Collectors.joining(", ", "[", "]"));
            case Map<?, ?> map ->
                map.entrySet().stream()
                        .map(entry -> write(entry.getKey()) + ": " + write(entry.getValue()))
                        .collect(Collectors.joining(", ", "{", "}"));
            default -> Json.write(value); // whose strings and numbers are Python's, too
        };
    }

    /** A word of letters, digits, {@code _}, {@code .} and {@code -}. */
    String word() throws MalformedException {
        skipSpace();
        int from = at;
        while (at < text.length() && isOfWord(text.charAt(at))) {
            at++;
        }
        if (at == from) {
            throw new MalformedException("a word", at);
        }
        return text.substring(from, at);
    }

    private static boolean isOfWord(char c) {
        return Character.isLetterOrDigit(c) || c == '_' || c == '.' || c == '-' || c == '+';
    }

    /** Pairs of a key and a value up to {@code end}. */
    Map<String, @Nullable Object> pairs(String between, String end) throws MalformedException {
        Map<String, @Nullable Object> pairs = new LinkedHashMap<>();
        while (!skip(end)) {
            String quote = quote();
            String key = quote == null ? word() : string(quote);
            expect(between);
            pairs.put(key, value());
            if (!skip(",")) {
                expect(end);
                break;
            }
        }
        return pairs;
    }

    @Nullable
    Object value() throws MalformedException {
        if (++level > MOST_LEVELS) {
            throw new MalformedException("an end of nested values", at);
        }
        Object value = content();
        level--;
        return value;
    }

    private @Nullable Object content() throws MalformedException {
        String quote = quote();
        if (quote != null) {
            return string(quote);
        }
        if (skip("{")) {
            return pairs(":", "}");
        }
        if (skip("[")) {
            List<@Nullable Object> list = new ArrayList<>();
            while (!skip("]")) {
                list.add(value());
                if (!skip(",")) {
                    expect("]");
                    break;
                }
            }
            return list;
        }
        String word = word();
        return switch (word) {
            case "true", "True" -> true;
            case "false", "False" -> false;
            case "null", "None" -> null;
            default -> number(word);
        };
    }

    private Object number(String word) throws MalformedException {
        Json.Read read = Json.whole(word);
        if (read == null || read.value() == null) {
            throw new MalformedException("a value", at - word.length());
        }
        return read.value();
    }

    private @Nullable String quote() {
        for (String quote : QUOTES) {
            if (skip(quote)) {
                return quote;
            }
        }
        return null;
    }

    private String string(String quote) throws MalformedException {
        boolean escapes = quote.length() == 1;
        StringBuilder string = new StringBuilder();
        while (!text.startsWith(quote, at)) {
            if (at == text.length()) {
                throw new MalformedException(quote, at);
            }
            char c = text.charAt(at++);
            string.append(escapes && c == '\\' ? escaped() : String.valueOf(c));
        }
        at += quote.length();
        return string.toString();
    }

    /** What stands behind a backslash. */
    private String escaped() throws MalformedException {
        if (at == text.length()) {
            throw new MalformedException("an escaped character", at);
        }
        char c = text.charAt(at++);
        return switch (c) {
            case 'n' -> "\n";
            case 't' -> "\t";
            case 'r' -> "\r";
            case 'b' -> "\b";
            case 'f' -> "\f";
            case '\n' -> "";
            case '\\', '\'', '"', '/' -> String.valueOf(c);
            case 'x' -> code(2);
            case 'u' -> code(4);
            case 'U' -> code(8);
            default -> "\\" + c;
        };
    }

    private String code(int digits) throws MalformedException {
        try {
            int code = Integer.parseInt(text, at, at + digits, 16);
            at += digits;
            return Character.toString(code);
        } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
            throw new MalformedException(digits + " digits of a character", at);
        }
    }

    private void skipSpace() {
        while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
            at++;
        }
    }
}
