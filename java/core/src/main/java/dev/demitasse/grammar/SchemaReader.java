package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;
import dev.demitasse.json.Json;
import java.math.BigDecimal;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Translates a JSON Schema (draft 2020-12, "JSON Schema: A Media Type for Describing JSON Documents", 2022) to rules.
 * What it cannot say is refused.
 */
final class SchemaReader {
    private static final int MOST_JOINED = 64; // references that are joined with what stands beside them
    private static final int MOST_LEVELS = 200;

    private static final String BYTE_ORDER_MARK = "\uFEFF";

    private final @Nullable Object root;
    private final @Nullable Object read;
    private final Map<String, Expression> rules = new LinkedHashMap<>(JsonTexts.rules());
    private int levels;
    private final Map<Object, String> ruleOf = new HashMap<>(); // by the schema: one that is the same has no other rule
    private final Map<Object, Map<String, @Nullable Object>> flatOf = new HashMap<>();

    SchemaReader(String text) {
        Json.Read whole = Json.exact(text.startsWith(BYTE_ORDER_MARK) ? text.substring(1) : text);
        if (whole == null) {
            throw new UsageException("The JSON schema is no JSON: " + text);
        }
        root = whole.value();
        read = root;
    }

    /** Reads another schema than the one that references are into. */
    private SchemaReader(@Nullable Object root, @Nullable Object read) {
        this.root = root;
        this.read = read;
    }

    Rules read() {
        rules.put(Rules.ROOT, translate(read, ""));
        return new Rules(rules, Rules.ROOT);
    }

    /** The texts of the values that are valid. */
    private Expression translate(@Nullable Object schema, String place) {
        if (++levels > MOST_LEVELS) {
            throw SchemaFault.at(place, "is more than " + MOST_LEVELS + " levels deep, or joined of itself");
        }
        try {
            Map<String, @Nullable Object> map = object(schema, place);
            if (map.get("$ref") instanceof String reference && has(map, "$ref")) {
                return rule(resolve(reference, place), reference);
            }
            if (map.get("allOf") instanceof List<?> all && all.size() == 1 && has(map, "allOf")) {
                return rule(all.getFirst(), place + "/allOf/0");
            }
            return values(map, place);
        } finally {
            levels--;
        }
    }

    /** Whether one keyword is all but what describes. */
    private static boolean has(Map<String, @Nullable Object> map, String keyword) {
        return map.keySet().stream().allMatch(key -> key.equals(keyword) || SchemaKeywords.isAnnotation(key));
    }

    private Expression values(Map<String, @Nullable Object> map, String place) {
        Map<String, @Nullable Object> flat = flat(map, place, 0);
        for (String several : List.of("anyOf", "oneOf")) {
            if (flat.containsKey(several)) {
                return branches(flat, several, place);
            }
        }
        if (flat.containsKey("enum")) {
            return constants(flat, place);
        }
        if (flat.keySet().stream().allMatch(SchemaKeywords::isAnnotation)) {
            return JsonTexts.VALUE;
        }
        List<Expression> byType = new ArrayList<>();
        for (String type : types(flat, place)) {
            byType.add(new TypedSchema(flat, place, this::rule).texts(type));
        }
        return new Expression.Choice(byType);
    }

    /** A rule for a schema within this one, or that is joined of some: the same for all that are the same. */
    private Expression rule(@Nullable Object schema, String place) {
        Object key = schema == null ? "null" : schema;
        String known = ruleOf.get(key);
        if (known == null) {
            known = (ruleOf.size() + 1) + " (" + (place.isEmpty() ? "#" : place) + ")";
            ruleOf.put(key, known);
            rules.put(known, Expression.NOTHING); // until it is there: it may refer to itself
            rules.put(known, translate(schema, place));
        }
        return new Expression.Reference(known);
    }

    private @Nullable Object resolve(String reference, String place) {
        Object id = root instanceof Map<?, ?> map ? map.get("$id") : null;
        String local = id instanceof String text && reference.startsWith(text)
                ? reference.substring(text.length())
                : reference;
        if (!local.isEmpty() && !local.equals("#") && !local.startsWith("#/")) {
            throw SchemaFault.at(
                    place,
                    "refers to \"" + reference + "\"; only what is within it can be referred to, by"
                            + " a pointer such as \"#/$defs/name\"");
        }
        Object at = root;
        String[] steps = local.length() < 2 ? new String[0] : local.substring(2).split("/", -1);
        for (String step : steps) {
            String name = decoded(step).replace("~1", "/").replace("~0", "~");
            if (at instanceof Map<?, ?> map && map.containsKey(name)) {
                at = map.get(name);
            } else if (at instanceof List<?> list && name.matches("\\d{1,6}") && Integer.parseInt(name) < list.size()) {
                at = list.get(Integer.parseInt(name));
            } else {
                throw SchemaFault.at(place, "refers to \"" + reference + "\", which is not there");
            }
        }
        return at;
    }

    private static String decoded(String step) {
        try {
            return URLDecoder.decode(step.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            return step; // which is the name of nothing
        }
    }

    /** A schema as a map: {@code true} has no keywords, and by {@code false} nothing is valid. */
    @SuppressWarnings("unchecked")
    private Map<String, @Nullable Object> object(@Nullable Object schema, String place) {
        if (schema instanceof Boolean any) {
            return any ? Map.of() : SchemaMerge.IMPOSSIBLE;
        }
        if (!(schema instanceof Map)) {
            throw SchemaFault.at(place, "has " + Json.write(schema) + " where a schema is wanted");
        }
        Map<String, @Nullable Object> map = (Map<String, @Nullable Object>) schema;
        for (String keyword : map.keySet()) {
            if (!SchemaKeywords.isKnown(keyword)) {
                throw SchemaFault.unsupported(place, keyword, "own ones begin with \"x-\"");
            }
        }
        if (map.containsKey("$id") && map != root) {
            throw SchemaFault.unsupported(place, "$id", "only at the top");
        }
        return map;
    }

    /** The same schema without {@code $ref} and {@code allOf} at its top. */
    private Map<String, @Nullable Object> flat(Map<String, @Nullable Object> map, String place, int level) {
        if (level > MOST_JOINED) {
            throw SchemaFault.at(place, "is joined of itself, or of more than " + MOST_JOINED + " others");
        }
        if (!map.containsKey("$ref") && !map.containsKey("allOf") && !map.containsKey("const")) {
            return map;
        }
        Map<String, @Nullable Object> known = flatOf.get(map);
        if (known == null) {
            known = joined(map, place, level);
            flatOf.put(map, known);
        }
        return known;
    }

    private Map<String, @Nullable Object> joined(Map<String, @Nullable Object> map, String place, int level) {
        Map<String, @Nullable Object> merged = new LinkedHashMap<>(map);
        Object reference = merged.remove("$ref");
        Object all = merged.remove("allOf");
        if (map.containsKey("$ref")) {
            if (!(reference instanceof String text)) {
                throw SchemaFault.at(place, "has a \"$ref\" that is no text");
            }
            Object target = resolve(text, place);
            merged = new LinkedHashMap<>(
                    SchemaMerge.of(merged, withoutId(flat(object(target, place), place, level + 1)), place));
        }
        if (map.containsKey("allOf")) {
            for (Object each : list(all, place, "allOf")) {
                merged =
                        new LinkedHashMap<>(SchemaMerge.of(merged, flat(object(each, place), place, level + 1), place));
            }
        }
        return SchemaMerge.of(merged, Map.of(), place); // which makes an enumeration of a constant
    }

    private static Map<String, @Nullable Object> withoutId(Map<String, @Nullable Object> map) {
        Map<String, @Nullable Object> copy = new LinkedHashMap<>(map);
        copy.remove("$id");
        return copy;
    }

    private Expression branches(Map<String, @Nullable Object> flat, String keyword, String place) {
        Map<String, @Nullable Object> rest = withoutId(flat);
        List<?> list = list(rest.remove(keyword), place, keyword);
        List<Map<String, @Nullable Object>> joined = new ArrayList<>();
        for (Object each : list) {
            Map<String, @Nullable Object> branch = object(each, place);
            boolean alone = rest.keySet().stream().allMatch(SchemaKeywords::isAnnotation) && !keyword.equals("oneOf");
            joined.add(alone ? branch : SchemaMerge.of(rest, flat(branch, place, 0), place));
        }
        if (keyword.equals("oneOf")) {
            new DisjointSchemas(schema -> flat(object(schema, place), place, 0)).require(joined, place);
        }
        List<Expression> alternatives = new ArrayList<>();
        for (int i = 0; i < joined.size(); i++) {
            alternatives.add(rule(joined.get(i), place + "/" + keyword + "/" + i));
        }
        return new Expression.Choice(alternatives);
    }

    /** The values of an enumeration that the other keywords allow. */
    private Expression constants(Map<String, @Nullable Object> flat, String place) {
        Map<String, @Nullable Object> rest = new LinkedHashMap<>(flat);
        List<?> values = list(rest.remove("enum"), place, "enum");
        List<String> types = types(rest, place);
        rest.keySet().removeIf(SchemaKeywords::isAnnotation);
        rest.remove("type");
        Map<String, @Nullable Object> scalar = new LinkedHashMap<>(rest);
        scalar.keySet().removeIf(key -> !SchemaKeywords.isOfScalars(key));
        Language by = scalar.isEmpty() ? null : Language.of(new SchemaReader(true, scalar).orNothing());
        List<Expression> others = new ArrayList<>();
        List<String> texts = new ArrayList<>();
        for (Object value : values) {
            if (types.stream().noneMatch(type -> isOf(value, type))) {
                continue;
            }
            if (value instanceof Map || value instanceof List) {
                if (!scalar.keySet().containsAll(rest.keySet())) {
                    throw SchemaFault.at(
                            place,
                            "has an object or a list in \"enum\" beside " + rest.keySet() + ", which is not supported");
                }
                others.add(JsonTexts.constant(value));
            } else if (by == null || by.matches(JsonTexts.plain(value))) {
                texts.add(JsonTexts.text(value));
            }
        }
        others.add(Expression.oneOf(texts));
        return new Expression.Choice(others);
    }

    /** The rules, with one more value than is valid, so that there is always one. */
    private Map<String, Expression> orNothing() {
        Rules all = read();
        all.byName()
                .put(
                        Rules.ROOT,
                        new Expression.Choice(
                                List.of(Expression.EMPTY, all.byName().get(Rules.ROOT))));
        return all.byName();
    }

    private static boolean isOf(@Nullable Object value, String type) {
        return switch (type) {
            case "object" -> value instanceof Map;
            case "array" -> value instanceof List;
            case "string" -> value instanceof String;
            case "number" -> value instanceof Number;
            case "integer" ->
                value instanceof Number && exact(value).stripTrailingZeros().scale() <= 0;
            case "boolean" -> value instanceof Boolean;
            default -> value == null;
        };
    }

    /** The types that a schema names; all where it names none. */
    static List<String> types(Map<String, @Nullable Object> schema, String place) {
        Object named = schema.get("type");
        if (schema.containsKey("type") && !(named instanceof String) && !(named instanceof List)) {
            throw SchemaFault.at(place, "has a \"type\" that is neither text nor a list");
        }
        List<?> list = !schema.containsKey("type")
                ? SchemaKeywords.TYPES.stream()
                        .filter(type -> !type.equals("integer"))
                        .toList()
                : named instanceof List<?> several ? several : List.of(String.valueOf(named));
        for (Object type : list) {
            if (!(type instanceof String) || !SchemaKeywords.TYPES.contains(type)) {
                throw SchemaFault.at(place, "has the type \"" + type + "\"; there are " + SchemaKeywords.TYPES);
            }
        }
        return SchemaKeywords.TYPES.stream()
                .filter(type -> list.contains(type) && !(type.equals("integer") && list.contains("number")))
                .toList();
    }

    static List<?> list(@Nullable Object value, String place, String keyword) {
        if (value instanceof List<?> list) {
            return list;
        }
        throw SchemaFault.at(place, "has a \"" + keyword + "\" that is no list");
    }

    static BigDecimal number(@Nullable Object value, String place, String keyword) {
        if (value instanceof Number) {
            return exact(value);
        }
        throw SchemaFault.at(place, "has a \"" + keyword + "\" that is no number");
    }

    private static BigDecimal exact(@Nullable Object number) {
        return number instanceof BigDecimal big ? big : new BigDecimal(String.valueOf(number));
    }

    /** Whether two values of JSON are the same: numbers by what they are worth. */
    static boolean equal(@Nullable Object a, @Nullable Object b) {
        if (a instanceof Number && b instanceof Number) {
            return exact(a).compareTo(exact(b)) == 0;
        }
        if (a instanceof List<?> x && b instanceof List<?> y) {
            boolean same = x.size() == y.size();
            for (int i = 0; same && i < x.size(); i++) {
                same = equal(x.get(i), y.get(i));
            }
            return same;
        }
        if (a instanceof Map<?, ?> x && b instanceof Map<?, ?> y) {
            return x.keySet().equals(y.keySet()) && x.keySet().stream().allMatch(key -> equal(x.get(key), y.get(key)));
        }
        return a == null ? b == null : a.equals(b);
    }
}
