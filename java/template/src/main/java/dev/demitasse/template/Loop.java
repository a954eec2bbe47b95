package dev.demitasse.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The variable {@code loop} within a loop; of a recursive one it can be called with further items. */
final class Loop implements Callable {
    /** Runs the loop's body for other items, a level deeper; returns what it writes. */
    interface Recursion {
        String over(@Nullable Object iterable, int depth);
    }

    private final List<@Nullable Object> items;
    private final int depth;
    private final @Nullable Recursion recursion;
    private int index = -1;
    private @Nullable List<@Nullable Object> last;

    Loop(List<@Nullable Object> items, int depth, @Nullable Recursion recursion) {
        this.items = items;
        this.depth = depth;
        this.recursion = recursion;
    }

    /** Goes on to the next item. */
    void next() {
        index++;
    }

    /** An attribute, or {@link Undefined}. */
    @Nullable
    Object attribute(String name) {
        int n = items.size();
        return switch (name) {
            case "index" -> index + 1L;
            case "index0" -> (long) index;
            case "revindex" -> (long) n - index;
            case "revindex0" -> n - index - 1L;
            case "first" -> index == 0;
            case "last" -> index == n - 1;
            case "length" -> (long) n;
            case "depth" -> depth + 1L;
            case "depth0" -> (long) depth;
            case "previtem" -> index > 0 ? items.get(index - 1) : new Undefined("loop.previtem");
            case "nextitem" -> index < n - 1 ? items.get(index + 1) : new Undefined("loop.nextitem");
            case "cycle" -> (Callable) (positional, named) -> cycle(positional);
            case "changed" -> (Callable) (positional, named) -> changed(positional);
            default -> new Undefined(name);
        };
    }

    private @Nullable Object cycle(List<@Nullable Object> values) {
        if (values.isEmpty()) {
            throw new JinjaException("TypeError: no items for cycling given");
        }
        return values.get(index % values.size());
    }

    private boolean changed(List<@Nullable Object> values) {
        List<@Nullable Object> before = last;
        if (before != null && Values.equal(before, values)) {
            return false;
        }
        last = new ArrayList<>(values);
        return true;
    }

    @Override
    public @Nullable Object call(List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
        if (recursion == null) {
            throw new JinjaException("TypeError: The loop must have the 'recursive' marker to be called recursively.");
        }
        if (positional.size() != 1) {
            throw new JinjaException("TypeError: loop() takes one argument, not " + positional.size());
        }
        return recursion.over(positional.getFirst(), depth + 1);
    }
}
