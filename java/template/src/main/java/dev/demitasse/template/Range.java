package dev.demitasse.template;

import java.util.AbstractList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What Python's {@code range} returns: a list of integers, but for how it prints. */
final class Range extends AbstractList<@Nullable Object> {
    private final long from;
    private final long to;
    private final long step;
    private final int size;

    private Range(long from, long to, long step, int size) {
        this.from = from;
        this.to = to;
        this.step = step;
        this.size = size;
    }

    /** {@code range(to)}, {@code range(from, to)} or {@code range(from, to, step)}. */
    static Range of(List<@Nullable Object> arguments) {
        long first = Values.integer(arguments.isEmpty() ? null : arguments.getFirst(), "range's argument");
        long from = arguments.size() > 1 ? first : 0;
        long to = arguments.size() > 1 ? Values.integer(arguments.get(1), "range's argument") : first;
        long step = arguments.size() > 2 ? Values.integer(arguments.get(2), "range's step") : 1;
        if (step == 0) {
            throw new JinjaException("ValueError: range() arg 3 must not be zero");
        }
        double size = Math.max(0, Math.ceil(((double) to - from) / step));
        if (size > Budget.MAXIMUM_RANGE) {
            throw new JinjaException("OverflowError: Range too big. The sandbox blocks ranges larger than "
                    + Budget.MAXIMUM_RANGE + ".");
        }
        return new Range(from, to, step, (int) size);
    }

    /** Items {@code begin}, {@code begin + by} and so on up to {@code end}, without it. */
    Range slice(long begin, long end, long by) {
        double count = Math.max(0, Math.ceil(((double) end - begin) / by));
        return new Range(from + begin * step, from + end * step, step * by, (int) count);
    }

    @Override
    public @Nullable Object get(int index) {
        return from + index * step;
    }

    @Override
    public int size() {
        return size;
    }

    @Override
    public String toString() {
        return "range(" + from + ", " + to + (step == 1 ? "" : ", " + step) + ")";
    }
}
