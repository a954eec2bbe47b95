package dev.demitasse.grammar;

import java.util.List;
import java.util.Map;
import java.util.Set;

/** The keywords of JSON Schema (draft 2020-12) that are understood, by what values they are of. */
final class SchemaKeywords {
    /** Those that only describe. */
    static final Set<String> ANNOTATIONS = Set.of(
            "$schema",
            "$id",
            "$comment",
            "$defs",
            "definitions",
            "title",
            "description",
            "default",
            "examples",
            "deprecated",
            "readOnly",
            "writeOnly");

    /** Those of any value. */
    static final Set<String> GENERAL = Set.of("$ref", "allOf", "anyOf", "oneOf", "type", "enum", "const");

    /** Those of the values of one type. */
    static final Map<String, Set<String>> OF_TYPE = Map.of(
            "object",
            Set.of("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
            "array",
            Set.of("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
            "string",
            Set.of("minLength", "maxLength", "pattern", "format"),
            "number",
            Set.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"));

    /** All types, in the order in which values of several are tried. */
    static final List<String> TYPES = List.of("object", "array", "string", "number", "integer", "boolean", "null");

    private SchemaKeywords() {}

    /** Whether a keyword only describes. */
    static boolean isAnnotation(String keyword) {
        return ANNOTATIONS.contains(keyword) || keyword.startsWith("x-");
    }

    /** Whether a keyword is of texts or of numbers. */
    static boolean isOfScalars(String keyword) {
        return OF_TYPE.getOrDefault("string", Set.of()).contains(keyword)
                || OF_TYPE.getOrDefault("number", Set.of()).contains(keyword);
    }

    static boolean isKnown(String keyword) {
        return isAnnotation(keyword)
                || GENERAL.contains(keyword)
                || OF_TYPE.values().stream().anyMatch(set -> set.contains(keyword));
    }
}
