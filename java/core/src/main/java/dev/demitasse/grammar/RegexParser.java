package dev.demitasse.grammar;

import java.util.ArrayList;
import java.util.List;

/**
 * Reads regular expressions, as ECMA 262 has them with its flag {@code u}, and JSON Schema advises: those whose texts
 * are regular.
 */
final class RegexParser {
    private static final CharSet LINE_ENDS = CharSet.of("\n\r\u2028\u2029");
    private static final CharSet WORD = CharSet.DIGITS
            .or(CharSet.range('a', 'z'))
            .or(CharSet.range('A', 'Z'))
            .or(CharSet.of("_"));
    private static final CharSet BLANK = CharSet.of(" \t\n\u000B\f\r\u00A0\u1680\u2028\u2029\u202F\u205F\u3000\uFEFF")
            .or(CharSet.range(0x2000, 0x200A));

    private final PatternText in;

    RegexParser(String pattern) {
        in = new PatternText("The regular expression", pattern);
    }

    /** The texts that match as a whole. */
    Expression parseWhole() {
        return whole(alternatives(Expression.EMPTY));
    }

    /** The texts in which something matches, as {@code pattern} of JSON Schema means it. */
    Expression parseAnywhere() {
        return whole(alternatives(Expression.ANYTHING));
    }

    private Expression whole(Expression all) {
        if (!in.isAtEnd()) {
            throw in.fault(in.sees(")") ? "no group is open" : "^ and $ may only begin and end what matches");
        }
        return all;
    }

    /** Alternatives of the whole; {@code around} is what may come before and behind those without ^ and $. */
    private Expression alternatives(Expression around) {
        List<Expression> list = new ArrayList<>();
        do {
            boolean begins = in.takes("^");
            Expression body = sequence();
            boolean ends = in.takes("$");
            list.add(Expression.sequence(begins ? Expression.EMPTY : around, body, ends ? Expression.EMPTY : around));
        } while (in.takes("|"));
        return list.size() == 1 ? list.getFirst() : new Expression.Choice(list);
    }

    private Expression sequence() {
        List<Expression> parts = new ArrayList<>();
        while (!in.isAtEnd() && !in.seesOneOf("|)^$")) {
            Expression part = in.repeated(item());
            in.takes("?"); // whether it takes few or many makes no other texts
            if (in.seesOneOf("*+{")) {
                throw in.fault("nothing can repeat a repetition; group it");
            }
            parts.add(part);
        }
        return new Expression.Sequence(parts);
    }

    private Expression item() {
        int c = in.next();
        return switch (c) {
            case '.' -> new Expression.Chars(LINE_ENDS.not());
            case '[' -> new Expression.Chars(set());
            case '(' -> group();
            case '\\' -> new Expression.Chars(escape(false));
            case '*', '+', '?', '{' -> throw in.fault("nothing is there to be repeated");
            default -> new Expression.Chars(CharSet.range(c, c));
        };
    }

    private Expression group() {
        in.enter();
        if (in.takes("?") && !in.takes(":")) {
            if (!in.takes("<") || in.seesOneOf("=!")) {
                throw in.fault("looking ahead or behind, and flags, are not supported");
            }
            while (in.next() != '>') {
                // a group's name means nothing where no reference may name it
            }
        }
        List<Expression> list = new ArrayList<>();
        do {
            list.add(sequence());
        } while (in.takes("|"));
        if (in.seesOneOf("^$")) {
            throw in.fault("^ and $ are supported only at the beginning and the end, not in a group");
        }
        in.expect(")");
        in.leave();
        return list.size() == 1 ? list.getFirst() : new Expression.Choice(list);
    }

    private CharSet set() {
        boolean negated = in.takes("^");
        CharSet set = CharSet.NONE;
        while (!in.takes("]")) {
            CharSet from = member();
            int before = in.position();
            if (in.takes("-") && !in.sees("]")) {
                CharSet to = member();
                set = set.or(range(from, to));
            } else {
                in.position(before);
                set = set.or(from);
            }
        }
        return negated ? set.not() : set;
    }

    private CharSet range(CharSet from, CharSet to) {
        int first = single(from);
        int last = single(to);
        if (first < 0 || last < first) {
            throw in.fault("a range goes from one character to a later one");
        }
        return CharSet.range(first, last);
    }

    /** The one character of a set; -1 where it has none or several. */
    private static int single(CharSet set) {
        CharSet.Range range = set.ranges().size() == 1 ? set.ranges().getFirst() : null;
        return range != null && range.from() == range.to() ? range.from() : -1;
    }

    private CharSet member() {
        int c = in.next();
        return c == '\\' ? escape(true) : CharSet.range(c, c);
    }

    private CharSet escape(boolean inSet) {
        int c = in.next();
        return switch (c) {
            case 'd' -> CharSet.DIGITS;
            case 'D' -> CharSet.DIGITS.not();
            case 'w' -> WORD;
            case 'W' -> WORD.not();
            case 's' -> BLANK;
            case 'S' -> BLANK.not();
            case 'p' -> property();
            case 'P' -> property().not();
            default -> {
                int character = character(c, inSet);
                yield CharSet.range(character, character);
            }
        };
    }

    private int character(int escaped, boolean inSet) {
        int control = "tnrfv0".indexOf(escaped);
        if (control >= 0) {
            return "\t\n\r\f\u000B\0".charAt(control);
        }
        if (escaped == 'x') {
            return in.hexadecimal(2);
        }
        if (escaped == 'c') {
            return in.next() % 32;
        }
        if (escaped == 'u') {
            return unit();
        }
        if (escaped == 'b' && inSet) {
            return '\b';
        }
        boolean letter = escaped < 0x80 && Character.isLetterOrDigit(escaped);
        if (letter) {
            throw in.fault(
                    escaped == 'b' || escaped == 'B' || Character.isDigit(escaped) || escaped == 'k'
                            ? "\\" + (char) escaped + " needs more than a regular grammar, and is not supported"
                            : "\\" + (char) escaped + " is no escape");
        }
        return escaped;
    }

    private int unit() {
        if (in.takes("{")) {
            int from = in.position();
            while (!in.sees("}")) {
                in.next();
            }
            String digits = in.since(from);
            if (digits.isEmpty() || digits.length() > 6) {
                throw in.fault("\\u{…} has one to six hexadecimal digits");
            }
            in.position(from);
            int value = in.hexadecimal(digits.length());
            in.expect("}");
            return value;
        }
        int unit = in.hexadecimal(4);
        if (Character.isHighSurrogate((char) unit) && in.takes("\\u")) {
            int low = in.hexadecimal(4);
            if (!Character.isLowSurrogate((char) low)) {
                throw in.fault("half of a character is missing");
            }
            return Character.toCodePoint((char) unit, (char) low);
        }
        return unit;
    }

    /** A category of Unicode: {@code {L}}, {@code {Lu}}, {@code {Letter}}. */
    private CharSet property() {
        in.expect("{");
        int from = in.position();
        while (!in.sees("}")) {
            in.next();
        }
        String name = in.since(from);
        in.expect("}");
        CharSet set = UnicodeCategories.of(name);
        if (set == null) {
            throw in.fault("\\p{" + name + "} is not supported; categories such as \\p{L} and \\p{Lu} are");
        }
        return set;
    }
}
