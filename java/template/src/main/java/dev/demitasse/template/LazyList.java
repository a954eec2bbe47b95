package dev.demitasse.template;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What map, select and their kin return: it can be iterated, joined and turned into a list, once, but has no length and
 * no JSON, as a Python generator.
 */
final class LazyList {
    private List<@Nullable Object> items;

    LazyList(List<@Nullable Object> items) {
        this.items = items;
    }

    /** The items; whoever asks again gets none. */
    List<@Nullable Object> take() {
        List<@Nullable Object> taken = items;
        items = List.of();
        return taken;
    }

    /** How many items are left. */
    int size() {
        return items.size();
    }
}
