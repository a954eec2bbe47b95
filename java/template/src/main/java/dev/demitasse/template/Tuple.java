package dev.demitasse.template;

import java.util.AbstractList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A tuple of Python's: a list, but for how it prints and what it equals; its items may have names. */
final class Tuple extends AbstractList<@Nullable Object> {
    private final List<@Nullable Object> items;
    private final List<String> names;

    Tuple(List<@Nullable Object> items) {
        this(items, List.of());
    }

    /** A tuple whose first items are attributes, too. */
    Tuple(List<@Nullable Object> items, List<String> names) {
        this.items = items;
        this.names = names;
    }

    /** The items. */
    List<@Nullable Object> items() {
        return items;
    }

    /** The item of that name, or {@link Undefined}. */
    @Nullable
    Object named(String name) {
        int index = names.indexOf(name);
        return index < 0 ? new Undefined(name) : items.get(index);
    }

    @Override
    public @Nullable Object get(int index) {
        return items.get(index);
    }

    @Override
    public int size() {
        return items.size();
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof Tuple tuple && items.equals(tuple.items);
    }

    @Override
    public int hashCode() {
        return items.hashCode();
    }
}
