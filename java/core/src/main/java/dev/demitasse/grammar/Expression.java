package dev.demitasse.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What texts a grammar allows. Immutable; parts may be shared. */
sealed interface Expression {
    /** As often as one likes. */
    int UNLIMITED = Integer.MAX_VALUE;
    /** Characters of texts that are compared, at most. */
    int MOST_ALIKE = 200;

    /** The empty text. */
    Expression EMPTY = new Sequence(List.of());
    /** No text. */
    Expression NOTHING = new Choice(List.of());
    /** Any characters. */
    Expression ANYTHING = any(new Chars(CharSet.ALL));

    /** One character of a set. */
    record Chars(CharSet set) implements Expression {}

    /** One after the other. */
    record Sequence(List<Expression> parts) implements Expression {}

    /** One of them. */
    record Choice(List<Expression> alternatives) implements Expression {}

    /**
     * The same several times.
     *
     * @param least how often at least
     * @param most how often at most, or {@link #UNLIMITED}
     */
    record Repeat(Expression body, int least, int most) implements Expression {}

    /** What a rule of that name says. */
    record Reference(String rule) implements Expression {}

    /**
     * What stands between the quotation marks of a string of JSON.
     *
     * @param content the string itself, without references; characters are written as JSON wants them
     * @param least characters at least
     * @param most characters at most, or {@link #UNLIMITED}
     */
    record JsonString(Expression content, int least, int most) implements Expression {}

    /** A text as it stands. */
    static Expression literal(String text) {
        return new Sequence(text.codePoints()
                .<Expression>mapToObj(c -> new Chars(CharSet.range(c, c)))
                .toList());
    }

    /** One of some texts; those that begin alike are read together. */
    static Expression oneOf(List<String> texts) {
        return oneOf(texts.stream().map(text -> text.codePoints().toArray()).toList(), 0);
    }

    private static Expression oneOf(List<int[]> texts, int at) {
        if (texts.size() == 1 || at > MOST_ALIKE) {
            return new Choice(texts.stream()
                    .map(text -> literal(new String(text, at, text.length - at)))
                    .toList());
        }
        Map<Integer, List<int[]>> byNext = new LinkedHashMap<>();
        List<Expression> alternatives = new ArrayList<>();
        for (int[] text : texts) {
            if (text.length == at) {
                alternatives.add(EMPTY);
            } else {
                byNext.computeIfAbsent(text[at], c -> new ArrayList<>()).add(text);
            }
        }
        byNext.forEach(
                (c, longer) -> alternatives.add(sequence(new Chars(CharSet.range(c, c)), oneOf(longer, at + 1))));
        return new Choice(alternatives);
    }

    static Expression sequence(Expression... parts) {
        return new Sequence(List.of(parts));
    }

    static Expression choice(Expression... alternatives) {
        return new Choice(Arrays.asList(alternatives));
    }

    static Expression optional(Expression body) {
        return new Repeat(body, 0, 1);
    }

    /** As often as one likes, or not at all. */
    static Expression any(Expression body) {
        return new Repeat(body, 0, UNLIMITED);
    }

    static Expression digits(char from, char to) {
        return new Chars(CharSet.range(from, to));
    }
}
