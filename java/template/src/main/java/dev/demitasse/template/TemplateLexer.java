package dev.demitasse.template;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Splits a template into tokens, with the whitespace rules that chat templates are written for: {@code trim_blocks}
 * (the newline after a block is dropped), {@code lstrip_blocks} (blanks before a block at the begin of a line are
 * dropped), and {@code -} on either side of a tag.
 */
final class TemplateLexer {
    private static final String[] OPERATORS = {
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}",
        ".", ",", ":", "|"
    };

    /** Possessive, as a group that repeats takes a stack frame for every digit. */
    private static final Pattern NUMBER = Pattern.compile("0[xX][0-9a-fA-F_]++|0[oO][0-7_]++|0[bB][01_]++"
            + "|[0-9][0-9_]*+(?:\\.[0-9][0-9_]*+)?(?:[eE][+-]?[0-9][0-9_]*+)?");

    private static final Pattern RAW_BEGIN = Pattern.compile("\\{%[-+]?\\s*raw\\s*([-+]?)%\\}");
    private static final Pattern RAW_END = Pattern.compile("\\{%([-+]?)\\s*endraw\\s*([-+]?)%\\}");

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int at;
    private int line = 1;

    private TemplateLexer(String source) {
        this.source = source;
    }

    static List<Token> tokens(String template) {
        String source = template.replace("\r\n", "\n").replace('\r', '\n');
        if (source.endsWith("\n")) {
            source = source.substring(0, source.length() - 1);
        }
        TemplateLexer lexer = new TemplateLexer(source);
        lexer.scan();
        return lexer.tokens;
    }

    private void scan() {
        boolean stripNext = false;
        boolean dropNewline = false;
        while (at < source.length()) {
            int tag = nextTag(at);
            String text = source.substring(at, tag);
            int textLine = line;
            line += newlines(text);
            if (tag < source.length()) {
                char modifier = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
                if (modifier == '-') {
                    text = text.stripTrailing();
                } else if (source.charAt(tag + 1) != '{' && modifier != '+') {
                    text = stripLine(text, at == 0);
                }
            }
            if (stripNext) {
                text = text.stripLeading();
            } else if (dropNewline && text.startsWith("\n")) {
                text = text.substring(1);
            }
            if (!text.isEmpty()) {
                tokens.add(new Token(Token.Kind.TEXT, text, textLine));
            }
            at = tag;
            if (tag == source.length()) {
                break;
            }
            Matcher raw = RAW_BEGIN.matcher(source).region(at, source.length());
            if (raw.lookingAt()) {
                stripNext = raw(raw) == '-';
                dropNewline = true;
                continue;
            }
            boolean output = source.charAt(tag + 1) == '{';
            char closer = source.charAt(tag + 1) == '#' ? comment() : tag(output);
            stripNext = closer == '-';
            dropNewline = !output && closer != '+';
        }
        tokens.add(new Token(Token.Kind.END, "end of template", line));
    }

    /** Takes the text between {@code raw} and {@code endraw} as it stands; returns the modifier at the end. */
    private char raw(Matcher begin) {
        int from = begin.end();
        Matcher end = RAW_END.matcher(source).region(from, source.length());
        if (!end.find()) {
            throw bad("a raw block without an end");
        }
        String text = source.substring(from, end.start());
        if (begin.group(1).equals("-")) {
            text = text.stripLeading();
        }
        if (end.group(1).equals("-")) {
            text = text.stripTrailing();
        } else if (!end.group(1).equals("+")) {
            text = stripLine(text, false);
        }
        if (!text.isEmpty()) {
            tokens.add(new Token(Token.Kind.TEXT, text, line));
        }
        line += newlines(source.substring(at, end.end()));
        at = end.end();
        return end.group(2).isEmpty() ? ' ' : end.group(2).charAt(0);
    }

    /**
     * Drops blanks after the last newline, where only blanks stand between it (or the template's begin) and the tag.
     */
    private static String stripLine(String text, boolean atBegin) {
        int end = text.length();
        while (end > 0 && (text.charAt(end - 1) == ' ' || text.charAt(end - 1) == '\t')) {
            end--;
        }
        boolean lineBegin = end > 0 ? text.charAt(end - 1) == '\n' : atBegin;
        return lineBegin ? text.substring(0, end) : text;
    }

    private int nextTag(int from) {
        for (int i = source.indexOf('{', from); i >= 0; i = source.indexOf('{', i + 1)) {
            if (i + 1 < source.length() && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
                return i;
            }
        }
        return source.length();
    }

    /** Skips a comment; returns the character before its end, which may be a modifier. */
    private char comment() {
        int end = source.indexOf("#}", at + 2);
        if (end < 0) {
            throw bad("a comment without an end");
        }
        line += newlines(source.substring(at, end));
        char before = source.charAt(end - 1);
        at = end + 2;
        return before;
    }

    /** Scans a tag; returns the modifier at its end, or a blank. */
    private char tag(boolean output) {
        String closing = output ? "}}" : "%}";
        tokens.add(new Token(output ? Token.Kind.OUTPUT_BEGIN : Token.Kind.BLOCK_BEGIN, "", line));
        at += 2;
        if (at < source.length() && (source.charAt(at) == '-' || source.charAt(at) == '+')) {
            at++;
        }
        int depth = 0;
        while (true) {
            skipBlanks();
            if (at >= source.length()) {
                throw bad("a tag without an end");
            }
            char c = source.charAt(at);
            boolean modified = (c == '-' || c == '+') && source.startsWith(closing, at + 1);
            if (depth == 0 && (modified || source.startsWith(closing, at))) {
                tokens.add(new Token(Token.Kind.TAG_END, closing, line));
                at += modified ? 3 : 2;
                return modified ? c : ' ';
            }
            depth += "([{".indexOf(c) >= 0 ? 1 : ")]}".indexOf(c) >= 0 ? -1 : 0;
            scanToken(c);
        }
    }

    private void scanToken(char c) {
        int from = at;
        if (c == '\'' || c == '"') {
            tokens.add(new Token(Token.Kind.STRING, string(c), line));
        } else if (Character.isDigit(c)) {
            Matcher number = NUMBER.matcher(source).region(at, source.length());
            at = number.lookingAt() ? number.end() : at + 1;
            tokens.add(new Token(Token.Kind.NUMBER, source.substring(from, at).replace("_", ""), line));
        } else if (Character.isJavaIdentifierStart(c) && c != '$') {
            while (at < source.length() && Character.isJavaIdentifierPart(source.charAt(at))) {
                at++;
            }
            tokens.add(new Token(Token.Kind.NAME, source.substring(from, at), line));
        } else {
            for (String operator : OPERATORS) {
                if (source.startsWith(operator, at)) {
                    at += operator.length();
                    tokens.add(new Token(Token.Kind.OPERATOR, operator, line));
                    return;
                }
            }
            throw bad("the character '" + c + "'");
        }
    }

    private String string(char quote) {
        StringBuilder text = new StringBuilder();
        for (at++; at < source.length(); at++) {
            char c = source.charAt(at);
            if (c == quote) {
                at++;
                return text.toString();
            }
            if (c == '\n') {
                line++;
            }
            if (c != '\\' || at + 1 >= source.length()) {
                text.append(c);
                continue;
            }
            char escaped = source.charAt(++at);
            switch (escaped) {
                case 'n' -> text.append('\n');
                case 't' -> text.append('\t');
                case 'r' -> text.append('\r');
                case 'b' -> text.append('\b');
                case 'f' -> text.append('\f');
                case '\\', '\'', '"' -> text.append(escaped);
                case '\n' -> line++;
                case 'x' -> text.append(unicode(2));
                case 'u' -> text.append(unicode(4));
                default -> text.append('\\').append(escaped);
            }
        }
        throw bad("a string without an end");
    }

    private char unicode(int digits) {
        try {
            char c = (char) Integer.parseInt(source, at + 1, at + 1 + digits, 16);
            at += digits;
            return c;
        } catch (NumberFormatException | IndexOutOfBoundsException e) {
            throw bad("an escape that is not hexadecimal");
        }
    }

    private void skipBlanks() {
        while (at < source.length() && Character.isWhitespace(source.charAt(at))) {
            if (source.charAt(at) == '\n') {
                line++;
            }
            at++;
        }
    }

    private static int newlines(String text) {
        return (int) text.chars().filter(c -> c == '\n').count();
    }

    private JinjaException bad(String what) {
        return new JinjaException("The chat template has " + what + " in line " + line + ".");
    }
}
