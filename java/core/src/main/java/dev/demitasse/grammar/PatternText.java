package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;

/** A text that is read from its beginning to its end, character by character. */
final class PatternText {
    private static final int MOST_REPETITIONS = 100_000;
    private static final int MOST_LEVELS = 200;

    private final String what; // the text is, for messages
    private final String text;
    private int at;
    private int levels;

    PatternText(String what, String text) {
        this.what = what;
        this.text = text;
    }

    boolean isAtEnd() {
        return at >= text.length();
    }

    /** Whether the next characters are these. */
    boolean sees(String expected) {
        return text.startsWith(expected, at);
    }

    /** Whether the next character is one of these. */
    boolean seesOneOf(String characters) {
        return !isAtEnd() && characters.indexOf(text.charAt(at)) >= 0;
    }

    /** Reads these characters where they come next. */
    boolean takes(String expected) {
        boolean sees = sees(expected);
        at += sees ? expected.length() : 0;
        return sees;
    }

    void expect(String expected) {
        if (!takes(expected)) {
            throw fault("\"" + expected + "\" is missing");
        }
    }

    /** The next character. */
    int next() {
        if (isAtEnd()) {
            throw fault("it ends too early");
        }
        int c = text.codePointAt(at);
        at += Character.charCount(c);
        return c;
    }

    /** So many hexadecimal digits. */
    int hexadecimal(int digits) {
        int value = 0;
        for (int i = 0; i < digits; i++) {
            int digit = isAtEnd() ? -1 : Character.digit(text.charAt(at), 16);
            if (digit < 0) {
                throw fault(digits + " hexadecimal digits are missing");
            }
            value = value << 4 | digit;
            at++;
        }
        if (value > CharSet.LAST || value < 0) {
            throw fault("there is no character of that number");
        }
        return value;
    }

    /** A decimal number; -1 where none comes next. */
    int number() {
        int from = at;
        while (!isAtEnd() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        if (at == from) {
            return -1;
        }
        if (at - from > 6 || Integer.parseInt(text.substring(from, at)) > MOST_REPETITIONS) {
            throw fault("it repeats more than " + MOST_REPETITIONS + " times");
        }
        return Integer.parseInt(text.substring(from, at));
    }

    /** A group begins. */
    void enter() {
        if (++levels > MOST_LEVELS) {
            throw fault("it has groups within more than " + MOST_LEVELS + " others");
        }
    }

    /** It ends. */
    void leave() {
        levels--;
    }

    int position() {
        return at;
    }

    void position(int position) {
        at = position;
    }

    /** The characters from a place to this one. */
    String since(int from) {
        return text.substring(from, at);
    }

    /** What follows {@code * + ?} or <code>{2,5}</code>, where one of those comes next; else the expression itself. */
    Expression repeated(Expression body) {
        if (takes("*")) {
            return Expression.any(body);
        }
        if (takes("+")) {
            return new Expression.Repeat(body, 1, Expression.UNLIMITED);
        }
        if (takes("?")) {
            return Expression.optional(body);
        }
        if (!sees("{")) {
            return body;
        }
        expect("{");
        int least = number();
        int most = least;
        if (takes(",")) {
            most = number();
            most = most < 0 ? Expression.UNLIMITED : most;
        }
        if (least < 0 || most < least) {
            throw fault("a repetition is {2}, {2,} or {2,5}");
        }
        expect("}");
        return new Expression.Repeat(body, least, most);
    }

    /** What is wrong at this place. */
    UsageException fault(String problem) {
        int line = 1
                + (int) text.substring(0, Math.min(at, text.length()))
                        .chars()
                        .filter(c -> c == '\n')
                        .count();
        int column = Math.min(at, text.length()) - text.lastIndexOf('\n', Math.min(at, text.length()) - 1);
        return new UsageException(what + " cannot be read: " + problem + ", at line " + line + ", column " + column
                + (text.length() > 100 ? "." : ": " + text));
    }
}
