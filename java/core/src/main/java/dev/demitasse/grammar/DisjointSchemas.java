package dev.demitasse.grammar;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Tells schemas apart by which no value is valid twice: only those can be alternatives of {@code oneOf}. */
final class DisjointSchemas {
    private static final int MOST_LEVELS = 8;

    private final Function<@Nullable Object, Map<String, @Nullable Object>> flat;

    DisjointSchemas(Function<@Nullable Object, Map<String, @Nullable Object>> flat) {
        this.flat = flat;
    }

    /**
     * Checks the schemas of a {@code oneOf}.
     *
     * @throws dev.demitasse.exception.UsageException where two may have a value in common
     */
    void require(List<Map<String, @Nullable Object>> schemas, String place) {
        for (int i = 0; i < schemas.size(); i++) {
            for (int j = 0; j < i; j++) {
                if (!disjoint(schemas.get(i), schemas.get(j), 0)) {
                    throw SchemaFault.unsupported(
                            place,
                            "oneOf",
                            "schemas " + j + " and " + i + " may both be right, and it is not known when. Use anyOf, or"
                                    + " give each a required property with a \"const\" of its own");
                }
            }
        }
    }

    private boolean disjoint(Map<String, @Nullable Object> a, Map<String, @Nullable Object> b, int level) {
        if (level > MOST_LEVELS) {
            return false;
        }
        List<String> common = new ArrayList<>(SchemaReader.types(a, ""));
        List<String> others = SchemaReader.types(b, "");
        common.removeIf(type -> !others.contains(type)
                && !(type.equals("integer") && others.contains("number"))
                && !(type.equals("number") && others.contains("integer")));
        if (common.isEmpty() || enumerated(a, b)) {
            return true;
        }
        return common.equals(List.of("object")) && (byProperty(a, b, level) || isMissing(a, b) || isMissing(b, a));
    }

    private static boolean enumerated(Map<String, @Nullable Object> a, Map<String, @Nullable Object> b) {
        return a.get("enum") instanceof List<?> first
                && b.get("enum") instanceof List<?> second
                && first.stream().noneMatch(x -> second.stream().anyMatch(y -> SchemaReader.equal(x, y)));
    }

    private static Map<?, ?> properties(Map<String, @Nullable Object> schema) {
        return schema.get("properties") instanceof Map<?, ?> map ? map : Map.of();
    }

    private static List<?> required(Map<String, @Nullable Object> schema) {
        return schema.get("required") instanceof List<?> list ? list : List.of();
    }

    /** Whether both require a property whose values are never the same. */
    private boolean byProperty(Map<String, @Nullable Object> a, Map<String, @Nullable Object> b, int level) {
        for (Object name : required(a)) {
            if (required(b).contains(name)
                    && properties(a).containsKey(name)
                    && properties(b).containsKey(name)
                    && disjoint(
                            flat.apply(properties(a).get(name)),
                            flat.apply(properties(b).get(name)),
                            level + 1)) {
                return true;
            }
        }
        return false;
    }

    /** Whether the first requires a property that the second does not allow. */
    private static boolean isMissing(Map<String, @Nullable Object> a, Map<String, @Nullable Object> b) {
        return Boolean.FALSE.equals(b.get("additionalProperties"))
                && required(a).stream().anyMatch(name -> !properties(b).containsKey(name));
    }
}
