package dev.demitasse.template;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** An object whose attributes a template may set, also from within a loop. */
final class Namespace {
    final Map<String, @Nullable Object> attributes = new LinkedHashMap<>();
}
