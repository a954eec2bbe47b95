package dev.demitasse.chat;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What map, select and their kin return: it can be iterated, joined and turned into a list, but has no length and no JSON,
 * as a Python generator.
 *
 * @param items the items
 */
record LazyList(List<@Nullable Object> items) {}
