package dev.demitasse.grammar;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Reads GBNF (llama.cpp, {@code grammars/README.md}). */
final class GbnfParser {
    private final PatternText in;
    private final Map<String, Expression> rules = new HashMap<>();

    GbnfParser(String text) {
        in = new PatternText("The grammar", text);
    }

    Rules parse() {
        skipBlank(true);
        while (!in.isAtEnd()) {
            String name = name();
            skipBlank(true);
            in.expect("::=");
            skipBlank(true);
            if (rules.putIfAbsent(name, alternatives(false)) != null) {
                throw in.fault("rule \"" + name + "\" is there twice");
            }
            skipBlank(true);
        }
        return new Rules(rules, Rules.ROOT);
    }

    /** Blanks and comments; ends of lines too, where they do not end a rule. */
    private void skipBlank(boolean lines) {
        while (in.seesOneOf(lines ? " \t\r\n#" : " \t#")) {
            if (in.next() == '#') {
                while (!in.isAtEnd() && !in.seesOneOf("\r\n")) {
                    in.next();
                }
            }
        }
    }

    private boolean seesName() {
        return in.seesOneOf("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    }

    private String name() {
        int from = in.position();
        while (seesName()) {
            in.next();
        }
        if (in.position() == from) {
            throw in.fault("the name of a rule is missing");
        }
        return in.since(from);
    }

    private Expression alternatives(boolean grouped) {
        List<Expression> list = new ArrayList<>();
        list.add(sequence(grouped));
        while (takesAlternative()) {
            skipBlank(true);
            list.add(sequence(grouped));
        }
        return list.size() == 1 ? list.getFirst() : new Expression.Choice(list);
    }

    /** Reads the mark of one more alternative, which may begin the next line. */
    private boolean takesAlternative() {
        int before = in.position();
        skipBlank(true);
        if (in.takes("|")) {
            return true;
        }
        in.position(before);
        return false;
    }

    private Expression sequence(boolean grouped) {
        List<Expression> parts = new ArrayList<>();
        while (in.seesOneOf("\"[(.") || seesName()) {
            Expression part = in.repeated(item());
            skipBlank(grouped);
            while (in.seesOneOf("*+?{")) {
                part = in.repeated(part);
                skipBlank(grouped);
            }
            parts.add(part);
        }
        if (!in.isAtEnd() && !in.seesOneOf("|)\r\n")) {
            throw in.fault("this is no part of a rule");
        }
        if (!grouped && in.sees(")")) {
            throw in.fault("no group is open");
        }
        return new Expression.Sequence(parts);
    }

    private Expression item() {
        if (in.takes("\"")) {
            StringBuilder literal = new StringBuilder();
            while (!in.takes("\"")) {
                literal.appendCodePoint(character());
            }
            return Expression.literal(literal.toString());
        }
        if (in.takes("[")) {
            return new Expression.Chars(set());
        }
        if (in.takes(".")) {
            return new Expression.Chars(CharSet.ALL);
        }
        if (in.takes("(")) {
            in.enter();
            skipBlank(true);
            Expression group = alternatives(true);
            in.expect(")");
            in.leave();
            return group;
        }
        return new Expression.Reference(name());
    }

    private CharSet set() {
        boolean negated = in.takes("^");
        List<CharSet.Range> ranges = new ArrayList<>();
        while (!in.takes("]")) {
            int from = character();
            int to = from;
            int before = in.position();
            if (in.takes("-")) {
                if (in.sees("]")) {
                    in.position(before); // the last of the set is the hyphen itself
                } else {
                    to = character();
                }
            }
            if (to < from) {
                throw in.fault("a range ends before it begins");
            }
            ranges.add(new CharSet.Range(from, to));
        }
        CharSet set = CharSet.of(ranges);
        return negated ? set.not() : set;
    }

    private int character() {
        int c = in.next();
        if (c != '\\') {
            return c;
        }
        int escaped = in.next();
        return switch (escaped) {
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'x' -> in.hexadecimal(2);
            case 'u' -> in.hexadecimal(4);
            case 'U' -> in.hexadecimal(8);
            case '"', '\\', '[', ']', '-', '^' -> escaped;
            default -> throw in.fault("\\" + Character.toString(escaped) + " is no escape");
        };
    }
}
