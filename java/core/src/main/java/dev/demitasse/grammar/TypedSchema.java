package dev.demitasse.grammar;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The values of one type that a schema allows, which has no keywords that join others. */
final class TypedSchema {
    private static final int MOST_FIRST_ITEMS = 500;
    private static final int MOST_NAME = 500;

    private final Map<String, @Nullable Object> schema;
    private final String place;
    private final Translator translator;

    /** Translates a schema within this one. */
    interface Translator {
        Expression translate(@Nullable Object schema, String place);
    }

    TypedSchema(Map<String, @Nullable Object> schema, String place, Translator translator) {
        this.schema = schema;
        this.place = place;
        this.translator = translator;
    }

    /** The texts of the values of a type. */
    Expression texts(String type) {
        return switch (type) {
            case "object" -> object();
            case "array" -> array();
            case "string" -> string();
            case "number" -> number(false);
            case "integer" -> number(true);
            case "boolean" -> JsonTexts.BOOLEAN;
            default -> JsonTexts.NULL;
        };
    }

    private int count(String keyword, int otherwise) {
        if (!schema.containsKey(keyword)) {
            return otherwise;
        }
        BigDecimal number = SchemaReader.number(schema.get(keyword), place, keyword);
        if (number.signum() < 0 || number.stripTrailingZeros().scale() > 0) {
            throw SchemaFault.at(place, "has " + number + " as \"" + keyword + "\", which is no count");
        }
        return number.min(BigDecimal.valueOf(Expression.UNLIMITED)).intValue();
    }

    private Expression object() {
        Object declared = schema.getOrDefault("properties", Map.of());
        if (!(declared instanceof Map<?, ?> properties)) {
            throw SchemaFault.at(place, "has \"properties\" that are no object");
        }
        Set<String> required = new LinkedHashSet<>();
        for (Object name : SchemaReader.list(schema.getOrDefault("required", List.of()), place, "required")) {
            if (!(name instanceof String text)) {
                throw SchemaFault.at(place, "requires a property whose name is no text");
            }
            required.add(text);
        }
        Object additional = schema.getOrDefault("additionalProperties", !schema.containsKey("properties"));
        List<JsonTexts.Member> members = new ArrayList<>();
        List<String> absent = new ArrayList<>();
        properties.forEach((key, value) -> {
            String name = String.valueOf(key);
            if (Boolean.FALSE.equals(value) && !required.contains(name)) {
                absent.add(name);
            } else {
                Expression texts = translator.translate(
                        value, place + "/properties/" + name.replace("~", "~0").replace("/", "~1"));
                members.add(new JsonTexts.Member(name, texts, required.contains(name)));
            }
        });
        Expression others = Boolean.FALSE.equals(additional)
                ? Expression.NOTHING
                : translator.translate(additional, place + "/additionalProperties");
        Set<String> names = new LinkedHashSet<>();
        properties.keySet().forEach(name -> names.add(String.valueOf(name)));
        for (String name : required) {
            if (names.add(name)) {
                members.add(new JsonTexts.Member(name, others, true));
            }
        }
        if (others != Expression.NOTHING && names.stream().anyMatch(name -> name.length() > MOST_NAME)) {
            throw SchemaFault.at(place, "has a name of more than " + MOST_NAME + " characters beside additional ones");
        }
        return counted(members, absent, others, required.size());
    }

    private Expression counted(List<JsonTexts.Member> members, List<String> absent, Expression others, int required) {
        int least = count("minProperties", 0);
        int most = count("maxProperties", Expression.UNLIMITED);
        boolean closed = others == Expression.NOTHING;
        boolean counts = least > required || most < members.size() || !closed && most != Expression.UNLIMITED;
        if (counts && !members.isEmpty() || closed && least > members.size()) {
            if (closed && least > members.size() || most < required) {
                return Expression.NOTHING;
            }
            throw SchemaFault.at(place, "counts properties that it names, which is not supported");
        }
        if (!closed && members.isEmpty() && least > 1) {
            throw SchemaFault.at(
                    place, "wants several properties of any names, and whether two are the same is not known");
        }
        return most < least ? Expression.NOTHING : JsonTexts.object(members, absent, others, least, most);
    }

    private Expression array() {
        if (schema.containsKey("uniqueItems") && !Boolean.FALSE.equals(schema.get("uniqueItems"))) {
            throw SchemaFault.unsupported(place, "uniqueItems", "");
        }
        List<Expression> first = new ArrayList<>();
        List<?> prefix = SchemaReader.list(schema.getOrDefault("prefixItems", List.of()), place, "prefixItems");
        if (prefix.size() > MOST_FIRST_ITEMS) {
            throw SchemaFault.at(place, "has more than " + MOST_FIRST_ITEMS + " \"prefixItems\"");
        }
        for (int i = 0; i < prefix.size(); i++) {
            first.add(translator.translate(prefix.get(i), place + "/prefixItems/" + i));
        }
        Object items = schema.getOrDefault("items", true);
        if (items instanceof List) {
            throw SchemaFault.unsupported(place, "items", "of a list; \"prefixItems\" is what it is called now");
        }
        int least = count("minItems", 0);
        int most = count("maxItems", Expression.UNLIMITED);
        if (Boolean.FALSE.equals(items)) {
            most = Math.min(most, first.size());
        }
        return JsonTexts.list(first, translator.translate(items, place + "/items"), least, most);
    }

    private Expression string() {
        int least = count("minLength", 0);
        int most = count("maxLength", Expression.UNLIMITED);
        String pattern = text("pattern");
        String format = text("format");
        if (pattern != null && format != null) {
            throw SchemaFault.at(place, "has \"pattern\" and \"format\", of which only one is supported");
        }
        if (most < least) {
            return Expression.NOTHING;
        }
        Expression content = Expression.ANYTHING;
        if (pattern != null) {
            content = new RegexParser(pattern).parseAnywhere();
        } else if (format != null) {
            content = StringFormats.of(format);
            if (content == null) {
                throw SchemaFault.at(
                        place, "has the format \"" + format + "\"; supported are " + StringFormats.names());
            }
        }
        return JsonTexts.string(content, least, most);
    }

    private @Nullable String text(String keyword) {
        Object value = schema.get(keyword);
        if (schema.containsKey(keyword) && !(value instanceof String)) {
            throw SchemaFault.at(place, "has a \"" + keyword + "\" that is no text");
        }
        return (String) value;
    }

    private Expression number(boolean whole) {
        if (schema.containsKey("multipleOf")) {
            BigDecimal step = SchemaReader.number(schema.get("multipleOf"), place, "multipleOf");
            if (step.compareTo(BigDecimal.ONE) != 0) {
                throw SchemaFault.unsupported(place, "multipleOf", "but of 1");
            }
        }
        boolean integers = whole || schema.containsKey("multipleOf");
        Bound low = bound("minimum", "exclusiveMinimum", true);
        Bound high = bound("maximum", "exclusiveMaximum", false);
        return new NumberRange(low.value, low.open, high.value, high.open, integers).texts();
    }

    private record Bound(@Nullable BigDecimal value, boolean open) {}

    /** The closer of two bounds. */
    private Bound bound(String inclusive, String exclusive, boolean lower) {
        BigDecimal in =
                schema.containsKey(inclusive) ? SchemaReader.number(schema.get(inclusive), place, inclusive) : null;
        BigDecimal out =
                schema.containsKey(exclusive) ? SchemaReader.number(schema.get(exclusive), place, exclusive) : null;
        boolean open = out != null && (in == null || (lower ? out.compareTo(in) >= 0 : out.compareTo(in) <= 0));
        return new Bound(open ? out : in, open);
    }
}
