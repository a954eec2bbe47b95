package dev.demitasse.grammar;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** One schema that says what two say (each a map without {@code $ref} and {@code allOf} at its top). */
final class SchemaMerge {
    private static final int MOST_BRANCHES = 256;
    private static final Set<String> GREATER =
            Set.of("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties");
    private static final Set<String> LESSER =
            Set.of("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties");
    /** By which nothing is valid. */
    static final Map<String, @Nullable Object> IMPOSSIBLE = Map.of("enum", List.of());

    private final String place;

    private SchemaMerge(String place) {
        this.place = place;
    }

    /**
     * Merges two schemas.
     *
     * @throws dev.demitasse.exception.UsageException where that is not supported
     */
    static Map<String, @Nullable Object> of(
            Map<String, @Nullable Object> a, Map<String, @Nullable Object> b, String place) {
        return new SchemaMerge(place).merge(a, b);
    }

    private Map<String, @Nullable Object> merge(Map<String, @Nullable Object> a, Map<String, @Nullable Object> b) {
        Map<String, @Nullable Object> merged = new LinkedHashMap<>(a);
        Map<String, @Nullable Object> second = new LinkedHashMap<>(b);
        for (Map<String, @Nullable Object> each : List.of(merged, second)) {
            if (each.containsKey("const")) {
                Object value = each.remove("const");
                List<@Nullable Object> values = new ArrayList<>();
                values.add(value);
                each.merge(
                        "enum",
                        values,
                        (x, y) -> common(SchemaReader.list(x, place, "enum"), SchemaReader.list(y, place, "enum")));
            }
        }
        boolean items = a.containsKey("prefixItems") && (b.containsKey("items") || b.containsKey("prefixItems"))
                || b.containsKey("prefixItems") && a.containsKey("items");
        if (items) {
            throw SchemaFault.at(place, "joins two with \"prefixItems\" and \"items\", which is not supported");
        }
        properties(a, b, merged);
        second.keySet().removeAll(List.of("properties", "additionalProperties"));
        second.forEach((key, value) -> {
            if (!merged.containsKey(key)) {
                merged.put(key, value);
            } else if (!SchemaKeywords.isAnnotation(key)) {
                merged.put(key, both(key, merged.get(key), value));
            }
        });
        return merged;
    }

    @SuppressWarnings("unchecked")
    private Map<String, @Nullable Object> properties(Map<String, @Nullable Object> schema) {
        Object value = schema.getOrDefault("properties", Map.of());
        if (!(value instanceof Map)) {
            throw SchemaFault.at(place, "has \"properties\" that are no object");
        }
        return (Map<String, @Nullable Object>) value;
    }

    /** Properties of one are additional to the other, where that does not name them. */
    private void properties(
            Map<String, @Nullable Object> a, Map<String, @Nullable Object> b, Map<String, @Nullable Object> merged) {
        Map<String, @Nullable Object> first = properties(a);
        Map<String, @Nullable Object> second = properties(b);
        Map<String, @Nullable Object> all = new LinkedHashMap<>();
        Set<String> names = new LinkedHashSet<>(first.keySet());
        names.addAll(second.keySet());
        for (String name : names) {
            List<@Nullable Object> schemas = new ArrayList<>();
            addProperty(first, a, name, schemas);
            addProperty(second, b, name, schemas);
            all.put(name, joined(schemas));
        }
        if (a.containsKey("properties") || b.containsKey("properties")) {
            merged.put("properties", all);
        }
        List<@Nullable Object> additional = new ArrayList<>();
        for (Map<String, @Nullable Object> each : List.of(a, b)) {
            if (each.containsKey("additionalProperties")) {
                additional.add(each.get("additionalProperties"));
            }
        }
        if (!additional.isEmpty()) {
            merged.put("additionalProperties", joined(additional));
        }
    }

    private static void addProperty(
            Map<String, @Nullable Object> properties,
            Map<String, @Nullable Object> schema,
            String name,
            List<@Nullable Object> to) {
        if (properties.containsKey(name)) {
            to.add(properties.get(name));
        } else if (schema.containsKey("additionalProperties")) {
            to.add(schema.get("additionalProperties"));
        }
    }

    private static @Nullable Object joined(List<@Nullable Object> schemas) {
        return schemas.size() == 1 ? schemas.getFirst() : Map.of("allOf", schemas);
    }

    private @Nullable Object both(String key, @Nullable Object a, @Nullable Object b) {
        if (GREATER.contains(key) || LESSER.contains(key)) {
            BigDecimal first = SchemaReader.number(a, place, key);
            BigDecimal second = SchemaReader.number(b, place, key);
            return first.compareTo(second) > 0 == GREATER.contains(key) ? a : b;
        }
        if (a instanceof List<?> first && b instanceof List<?> second) {
            if (key.equals("required")) {
                Set<Object> names = new LinkedHashSet<>(first);
                names.addAll(second);
                return new ArrayList<>(names);
            }
            if (key.equals("enum")) {
                return common(first, second);
            }
            if (key.equals("anyOf")) {
                return pairs(first, second);
            }
        }
        if (key.equals("type")) {
            return types(a, b);
        }
        if (key.equals("items")) {
            return joined(Arrays.asList(a, b));
        }
        if (a != null && a.equals(b)) {
            return a;
        }
        throw SchemaFault.at(place, "joins two with \"" + key + "\", which is not supported");
    }

    private static List<@Nullable Object> common(List<?> a, List<?> b) {
        List<@Nullable Object> common = new ArrayList<>(a);
        common.removeIf(value -> b.stream().noneMatch(other -> SchemaReader.equal(value, other)));
        return common;
    }

    private static Object types(@Nullable Object a, @Nullable Object b) {
        List<String> first = names(a);
        List<String> second = names(b);
        Set<Object> common = new LinkedHashSet<>();
        for (String x : first) {
            for (String y : second) {
                boolean integer =
                        x.equals("integer") && y.equals("number") || x.equals("number") && y.equals("integer");
                if (x.equals(y) || integer) {
                    common.add(integer ? "integer" : x);
                }
            }
        }
        return new ArrayList<>(common);
    }

    private static List<String> names(@Nullable Object types) {
        return types instanceof List<?> list
                ? list.stream().map(String::valueOf).toList()
                : List.of(String.valueOf(types));
    }

    private Object pairs(List<?> a, List<?> b) {
        if ((long) a.size() * b.size() > MOST_BRANCHES) {
            throw SchemaFault.at(place, "joins \"anyOf\" of " + a.size() + " and " + b.size() + " schemas: too many");
        }
        List<@Nullable Object> pairs = new ArrayList<>();
        for (Object x : a) {
            for (Object y : b) {
                pairs.add(joined(Arrays.asList(x, y)));
            }
        }
        return pairs;
    }
}
