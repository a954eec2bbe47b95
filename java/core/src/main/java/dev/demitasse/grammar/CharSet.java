package dev.demitasse.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntPredicate;

/** A set of Unicode's code points, without surrogates: those are no characters, and have no UTF-8. */
final class CharSet {
    static final int LAST = 0x10FFFF;
    private static final int FIRST_SURROGATE = 0xD800;
    private static final int LAST_SURROGATE = 0xDFFF;
    /** All characters. */
    static final CharSet ALL = range(0, LAST);
    /** None. */
    static final CharSet NONE = new CharSet(List.of());

    static final CharSet DIGITS = range('0', '9');

    /** Code points from {@code from} to {@code to}, both of them in it. */
    record Range(int from, int to) {}

    private final List<Range> ranges; // ascending, with gaps between them

    private CharSet(List<Range> ranges) {
        this.ranges = ranges;
    }

    /** Of ranges in any order, that may overlap. */
    static CharSet of(List<Range> any) {
        List<Range> sorted = new ArrayList<>(any.size() + 1);
        for (Range range : any) {
            addWithoutSurrogates(range, sorted);
        }
        sorted.sort(Comparator.comparingInt(Range::from));
        List<Range> joined = new ArrayList<>();
        for (Range range : sorted) {
            Range last = joined.isEmpty() ? null : joined.getLast();
            if (last != null && range.from <= last.to + 1) {
                joined.set(joined.size() - 1, new Range(last.from, Math.max(last.to, range.to)));
            } else {
                joined.add(range);
            }
        }
        return new CharSet(List.copyOf(joined));
    }

    private static void addWithoutSurrogates(Range range, List<Range> to) {
        if (range.from < FIRST_SURROGATE && range.from <= range.to) {
            to.add(new Range(range.from, Math.min(range.to, FIRST_SURROGATE - 1)));
        }
        if (range.to > LAST_SURROGATE && range.from <= range.to) {
            to.add(new Range(Math.max(range.from, LAST_SURROGATE + 1), range.to));
        }
    }

    static CharSet range(int from, int to) {
        return of(List.of(new Range(from, to)));
    }

    /** The characters of a text. */
    static CharSet of(String text) {
        return of(text.codePoints().mapToObj(c -> new Range(c, c)).toList());
    }

    /** Those of which something is true. */
    static CharSet where(IntPredicate test) {
        List<Range> ranges = new ArrayList<>();
        int from = -1;
        for (int c = 0; c <= LAST + 1; c++) {
            boolean in = c <= LAST && test.test(c);
            if (in && from < 0) {
                from = c;
            } else if (!in && from >= 0) {
                ranges.add(new Range(from, c - 1));
                from = -1;
            }
        }
        return of(ranges);
    }

    List<Range> ranges() {
        return ranges;
    }

    boolean isEmpty() {
        return ranges.isEmpty();
    }

    boolean contains(int c) {
        return ranges.stream().anyMatch(range -> range.from <= c && c <= range.to);
    }

    CharSet or(CharSet other) {
        List<Range> all = new ArrayList<>(ranges);
        all.addAll(other.ranges);
        return of(all);
    }

    CharSet not() {
        List<Range> gaps = new ArrayList<>();
        int from = 0;
        for (Range range : ranges) {
            gaps.add(new Range(from, range.from - 1));
            from = range.to + 1;
        }
        gaps.add(new Range(from, LAST));
        return of(gaps);
    }

    CharSet and(CharSet other) {
        return not().or(other.not()).not();
    }

    CharSet without(CharSet other) {
        return and(other.not());
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof CharSet set && ranges.equals(set.ranges);
    }

    @Override
    public int hashCode() {
        return ranges.hashCode();
    }

    @Override
    public String toString() {
        return Arrays.toString(ranges.toArray());
    }
}
