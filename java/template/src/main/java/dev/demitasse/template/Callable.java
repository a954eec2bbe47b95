package dev.demitasse.template;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A function that a template can call: a macro or one of the globals. */
@FunctionalInterface
interface Callable {
    @Nullable
    Object call(List<@Nullable Object> positional, Map<String, @Nullable Object> named);
}
