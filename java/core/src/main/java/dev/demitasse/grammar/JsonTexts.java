package dev.demitasse.grammar;

import dev.demitasse.json.Json;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** JSON's values as texts (RFC 8259), with as little white space as people write. */
final class JsonTexts {
    /** Any value. */
    static final Expression VALUE = new Expression.Reference("value");
    /** None, a blank, or the end of a line with what the next one is indented by. */
    static final Expression SPACE = new Expression.Reference("space");

    static final Expression NULL = Expression.literal("null");
    static final Expression BOOLEAN = Expression.choice(Expression.literal("true"), Expression.literal("false"));

    private static final double MOST_WHOLE = 0x1p53; // up to where all whole numbers are there
    private static final int MOST_PLAIN = 400; // digits
    private static final int MOST_INDENTATION = 20;
    private static final Expression DIGIT = new Expression.Chars(CharSet.DIGITS);
    private static final Expression DIGITS = new Expression.Repeat(DIGIT, 1, Expression.UNLIMITED);
    /** Any whole number. */
    static final Expression INTEGER = Expression.sequence(
            Expression.optional(Expression.literal("-")),
            Expression.choice(
                    Expression.literal("0"), Expression.sequence(Expression.digits('1', '9'), Expression.any(DIGIT))));
    /** Any number. */
    static final Expression NUMBER = Expression.sequence(
            INTEGER,
            Expression.optional(Expression.sequence(Expression.literal("."), DIGITS)),
            Expression.optional(Expression.sequence(
                    new Expression.Chars(CharSet.of("eE")),
                    Expression.optional(new Expression.Chars(CharSet.of("+-"))),
                    DIGITS)));

    private JsonTexts() {}

    /** The rules that others refer to. */
    static Map<String, Expression> rules() {
        Map<String, Expression> rules = new LinkedHashMap<>();
        rules.put(
                "space",
                Expression.optional(Expression.choice(
                        Expression.literal(" "),
                        Expression.sequence(
                                Expression.literal("\n"),
                                new Expression.Repeat(new Expression.Chars(CharSet.of(" \t")), 0, MOST_INDENTATION)))));
        rules.put(
                "value",
                Expression.choice(
                        object(List.of(), List.of(), VALUE, 0, Expression.UNLIMITED),
                        list(VALUE, 0, Expression.UNLIMITED),
                        string(Expression.ANYTHING, 0, Expression.UNLIMITED),
                        NUMBER,
                        BOOLEAN,
                        NULL));
        return rules;
    }

    /** A string with such a content. */
    static Expression string(Expression content, int least, int most) {
        return Expression.sequence(
                Expression.literal("\""), new Expression.JsonString(content, least, most), Expression.literal("\""));
    }

    /** One value as it is. */
    static Expression constant(@Nullable Object value) {
        return switch (value) {
            case List<?> items ->
                between("[", separated(items.stream().map(JsonTexts::constant).toList()), "]");
            case Map<?, ?> members ->
                between(
                        "{",
                        separated(members.entrySet().stream()
                                .map(entry -> member(String.valueOf(entry.getKey()), constant(entry.getValue())))
                                .toList()),
                        "}");
            case null, default -> Expression.literal(text(value));
        };
    }

    /** A value that holds no others as JSON; a whole number without a fraction. */
    static String text(@Nullable Object value) {
        return value instanceof Double number && number == Math.rint(number) && Math.abs(number) <= MOST_WHOLE
                ? Long.toString(number.longValue())
                : Json.write(value);
    }

    /** The same, a number without an exponent. */
    static String plain(@Nullable Object value) {
        BigDecimal number = value instanceof Number ? new BigDecimal(String.valueOf(value)) : null;
        boolean shortEnough = number != null
                && Math.abs((long) number.precision() - number.scale()) < MOST_PLAIN
                && Math.abs((long) number.scale()) < MOST_PLAIN;
        return number != null && shortEnough ? number.stripTrailingZeros().toPlainString() : text(value);
    }

    /** A member of an object, its name written as JSON does. */
    static Expression member(String name, Expression value) {
        return Expression.sequence(Expression.literal(Json.write(name) + ":"), SPACE, value);
    }

    private static Expression between(String begin, Expression content, String end) {
        return Expression.sequence(Expression.literal(begin), SPACE, content, SPACE, Expression.literal(end));
    }

    private static Expression separated(List<Expression> items) {
        List<Expression> parts = new ArrayList<>();
        for (Expression item : items) {
            parts.add(parts.isEmpty() ? item : following(item));
        }
        return new Expression.Sequence(parts);
    }

    private static Expression following(Expression item) {
        return Expression.sequence(Expression.literal(","), SPACE, item);
    }

    /** A list of so many of the same. */
    static Expression list(Expression item, int least, int most) {
        return list(List.of(), item, least, most);
    }

    /** A list that begins with some items, each of its own kind, as far as it goes, and has others behind them. */
    static Expression list(List<Expression> first, Expression item, int least, int most) {
        if (most < least) {
            return Expression.NOTHING;
        }
        int others = most == Expression.UNLIMITED ? most : Math.max(0, most - first.size());
        int needed = Math.max(0, least - first.size());
        Expression content;
        if (first.isEmpty()) {
            content = counted(item, least, most);
        } else {
            content = new Expression.Repeat(following(item), needed, others);
            for (int i = Math.min(first.size(), most) - 1; i >= 0; i--) {
                Expression each = i == 0 ? first.get(i) : following(first.get(i));
                Expression rest =
                        i == Math.min(first.size(), most) - 1 && most <= first.size() ? Expression.EMPTY : content;
                Expression from = Expression.sequence(each, rest);
                content = i < least ? from : Expression.optional(from);
            }
        }
        return between("[", most == 0 ? Expression.EMPTY : content, "]");
    }

    /** So many of the same, separated. */
    private static Expression counted(Expression item, int least, int most) {
        if (most == 0) {
            return Expression.EMPTY;
        }
        int others = most == Expression.UNLIMITED ? most : most - 1;
        Expression some =
                Expression.sequence(item, new Expression.Repeat(following(item), Math.max(0, least - 1), others));
        return least == 0 ? Expression.optional(some) : some;
    }

    /** A member that an object has by name. */
    record Member(String name, Expression value, boolean required) {}

    /**
     * An object.
     *
     * @param members in the order in which they come
     * @param absent names that no other member may have either
     * @param additional the values of others; {@link Expression#NOTHING} for none
     * @param least others at least; 0 where there are members
     * @param most others at most
     */
    static Expression object(List<Member> members, List<String> absent, Expression additional, int least, int most) {
        boolean closed = additional == Expression.NOTHING;
        List<String> named = new ArrayList<>(absent);
        members.forEach(member -> named.add(member.name));
        Expression other = closed
                ? Expression.NOTHING
                : Expression.sequence(
                        string(except(named), 0, Expression.UNLIMITED), Expression.literal(":"), SPACE, additional);
        if (members.isEmpty()) {
            return between("{", closed ? Expression.EMPTY : counted(other, least, most), "}");
        }
        List<Expression> beginnings = new ArrayList<>(); // by the first member that is there
        List<Expression> parts = new ArrayList<>(); // each with its comma
        for (Member member : members) {
            Expression part = following(member(member.name, member.value));
            parts.add(member.required ? part : Expression.optional(part));
        }
        parts.add(closed ? Expression.EMPTY : Expression.any(following(other)));
        boolean required = false;
        for (int i = 0; i < members.size() && !required; i++) {
            Member member = members.get(i);
            List<Expression> from = new ArrayList<>(List.of(member(member.name, member.value)));
            from.addAll(parts.subList(i + 1, parts.size()));
            beginnings.add(new Expression.Sequence(from));
            required = member.required;
        }
        if (!required) {
            beginnings.add(Expression.EMPTY);
            if (!closed) {
                beginnings.add(Expression.sequence(other, parts.getLast()));
            }
        }
        return between("{", new Expression.Choice(beginnings), "}");
    }

    /** All texts but some. */
    static Expression except(List<String> texts) {
        if (texts.isEmpty()) {
            return Expression.ANYTHING;
        }
        return except(texts.stream().map(text -> text.codePoints().toArray()).toList(), 0);
    }

    private static Expression except(List<int[]> texts, int at) {
        Map<Integer, List<int[]>> byNext = new TreeMap<>();
        boolean ends = false;
        for (int[] text : texts) {
            if (text.length == at) {
                ends = true;
            } else {
                byNext.computeIfAbsent(text[at], c -> new ArrayList<>()).add(text);
            }
        }
        List<CharSet.Range> same =
                byNext.keySet().stream().map(c -> new CharSet.Range(c, c)).toList();
        List<Expression> alternatives = new ArrayList<>();
        alternatives.add(
                Expression.sequence(new Expression.Chars(CharSet.of(same).not()), Expression.ANYTHING));
        byNext.forEach((c, longer) -> alternatives.add(
                Expression.sequence(new Expression.Chars(CharSet.range(c, c)), except(longer, at + 1))));
        if (!ends) {
            alternatives.add(Expression.EMPTY);
        }
        return new Expression.Choice(alternatives);
    }
}
