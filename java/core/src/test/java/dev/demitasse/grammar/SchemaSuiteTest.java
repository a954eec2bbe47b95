package dev.demitasse.grammar;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * The official JSON Schema test suite (draft 2020-12): what the schemas that are translated allow and refuse; and
 * networknt's validator is the judge of texts that their grammars make.
 */
class SchemaSuiteTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int TEXTS = 20;
    private static final int MOST_ORDERS = 5000;

    private record Case(String name, JsonNode schema, JsonNode tests) {}

    private static List<Case> cases() throws IOException {
        List<Case> cases = new ArrayList<>();
        try (InputStream in = SchemaSuiteTest.class.getResourceAsStream("/test-suite-tck.json")) {
            for (JsonNode suite : MAPPER.readTree(in).get("suites")) {
                boolean optional = suite.get("name").asText().contains("/optional/");
                if (suite.get("draft").asText().equals("2020-12") && !optional) {
                    for (JsonNode each : suite.get("value")) {
                        String name = suite.get("name").asText() + ": "
                                + each.get("description").asText();
                        cases.add(new Case(name, each.get("schema"), each.get("tests")));
                    }
                }
            }
        }
        return cases;
    }

    private static @Nullable Language grammar(JsonNode schema) {
        try {
            return Language.jsonSchema(schema.toString());
        } catch (UsageException e) {
            return null;
        }
    }

    @TestFactory
    Stream<DynamicTest> aTranslatedSchemaAllowsWhatIsValid() throws IOException {
        return cases().stream()
                .filter(each -> grammar(open(each.schema.deepCopy())) != null || isImpossible(each.schema))
                .map(each -> DynamicTest.dynamicTest(each.name, () -> check(each)));
    }

    private static void check(Case each) throws IOException {
        JsonNode schema = open(each.schema.deepCopy());
        Language grammar = grammar(schema);
        for (JsonNode test : each.tests) {
            List<String> texts = orders(test.get("data"));
            boolean matched = grammar != null && texts.stream().anyMatch(grammar::matches);
            boolean valid = test.get("valid").asBoolean();
            String what = test.get("description").asText() + ": " + schema + " of " + texts.getFirst();
            if (test.get("description").asText().contains("only an annotation") || schema.has("format")) {
                continue; // formats are meant: an answer with one that is wrong would be of no use
            }
            if (!valid) {
                assertThat(matched).as(what).isFalse();
            } else if (texts.size() < MOST_ORDERS) {
                assertThat(matched).as(what).isTrue();
            }
        }
        if (grammar != null) {
            judge(each, grammar);
        }
    }

    private static boolean isImpossible(JsonNode schema) {
        try {
            Language.jsonSchema(schema.toString());
            return false;
        } catch (UsageException e) {
            return String.valueOf(e.getMessage()).contains("allows no text");
        }
    }

    /** Objects with properties have no others here, unless their schema says so: it says so. */
    private static JsonNode open(JsonNode schema) {
        if (!(schema instanceof ObjectNode object)) {
            return schema;
        }
        if (object.path("properties").isObject() && !object.has("additionalProperties")) {
            object.put("additionalProperties", true);
        }
        for (String keyword : List.of("allOf", "anyOf", "oneOf", "prefixItems")) {
            schema.path(keyword).forEach(SchemaSuiteTest::open);
        }
        for (String keyword : List.of("properties", "$defs")) {
            schema.path(keyword).forEach(SchemaSuiteTest::open);
        }
        for (String keyword : List.of("items", "additionalProperties")) {
            open(schema.path(keyword));
        }
        return schema;
    }

    /** A value as JSON, with its members in all orders, and with whole numbers as such. */
    private static List<String> orders(JsonNode value) {
        List<String> texts = new ArrayList<>();
        if (value.isObject()) {
            List<String> names = new ArrayList<>();
            value.fieldNames().forEachRemaining(names::add);
            permute(
                    names,
                    0,
                    order -> {
                        List<String> texted = List.of("");
                        for (String name : order) {
                            texted = product(
                                    texted,
                                    texted.getFirst().isEmpty() ? "" : ",",
                                    quoted(name),
                                    orders(value.get(name)));
                        }
                        texted.forEach(text -> texts.add("{" + text + "}"));
                    },
                    texts);
        } else if (value.isArray()) {
            List<String> texted = List.of("");
            for (JsonNode item : value) {
                texted = product(texted, texted.getFirst().isEmpty() ? "" : ",", "", orders(item));
            }
            texted.forEach(text -> texts.add("[" + text + "]"));
        } else {
            texts.add(value.toString());
            if (value.isDouble() && value.asDouble() == Math.rint(value.asDouble())) {
                texts.add(value.decimalValue().toBigInteger().toString());
            }
        }
        return texts;
    }

    private static String quoted(String name) {
        return MAPPER.valueToTree(name) + ":";
    }

    private static List<String> product(List<String> before, String separator, String name, List<String> values) {
        return before.stream()
                .flatMap(text -> values.stream().map(value -> text + separator + name + value))
                .limit(MOST_ORDERS)
                .toList();
    }

    private interface Order {
        void of(List<String> names);
    }

    private static void permute(List<String> names, int at, Order then, List<String> found) {
        if (found.size() >= MOST_ORDERS) {
            return;
        }
        if (at == names.size()) {
            then.of(List.copyOf(names));
        }
        for (int i = at; i < names.size(); i++) {
            java.util.Collections.swap(names, at, i);
            permute(names, at + 1, then, found);
            java.util.Collections.swap(names, at, i);
        }
    }

    private static void judge(Case each, Language grammar) throws IOException {
        long seed = each.name.hashCode();
        RandomTexts texts = new RandomTexts(grammar, new Random(seed));
        Schema judge = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
                .getSchema(each.schema);
        for (int i = 0; i < TEXTS; i++) {
            String text = texts.next();
            if (text != null) {
                assertThat(judge.validate(MAPPER.readTree(text)))
                        .as("seed %d: %s of %s", seed, text, each.schema)
                        .isEmpty();
            }
        }
    }

    @Test
    void mostOfTheSuiteIsTranslated() throws IOException {
        List<Case> cases = cases();
        long translated = cases.stream()
                .filter(each -> grammar(each.schema) != null || isImpossible(each.schema))
                .count();
        assertThat(translated).as("of %d schemas", cases.size()).isGreaterThanOrEqualTo(120);
    }
}
