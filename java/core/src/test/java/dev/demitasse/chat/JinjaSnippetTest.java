package dev.demitasse.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.template.ChatTemplate;
import dev.demitasse.template.JinjaException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Small templates with what Jinja2 3.1.6 makes of them: the same text, or an error where it raises one; bytes are
 * refused by name.
 */
class JinjaSnippetTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    @TestFactory
    Stream<DynamicTest> rendersAsJinja2() {
        return Stream.of("jinja-snippets.jsonl", "jinja-statements.jsonl").flatMap(this::tests);
    }

    @SuppressWarnings("unchecked")
    private Stream<DynamicTest> tests(String resource) {
        List<String> lines;
        try (InputStream in = Objects.requireNonNull(getClass().getResourceAsStream(resource))) {
            lines = new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .toList();
        } catch (IOException e) {
            throw new AssertionError(resource, e);
        }
        JsonNode first = parse(lines.getFirst());
        Map<String, Object> context = MAPPER.convertValue(first.get("context"), Map.class);
        Clock clock =
                Clock.fixed(LocalDateTime.parse(first.get("now").asText()).toInstant(ZoneOffset.UTC), ZoneOffset.UTC);
        return lines.stream().skip(1).map(line -> {
            JsonNode row = parse(line);
            String template = row.get("template").asText();
            return DynamicTest.dynamicTest(template, () -> {
                if (template.contains(".encode(")) {
                    assertThatThrownBy(() -> ChatTemplate.parse(template).render(context, clock))
                            .isInstanceOf(JinjaException.class)
                            .hasMessageContaining("encode() of strings is not supported");
                } else if (row.has("error")) {
                    assertThatThrownBy(() -> ChatTemplate.parse(template).render(context, clock))
                            .isInstanceOf(JinjaException.class);
                } else {
                    assertThat(ChatTemplate.parse(template).render(context, clock))
                            .isEqualTo(row.get("out").asText());
                }
            });
        });
    }

    private static JsonNode parse(String line) {
        try {
            return MAPPER.readTree(line);
        } catch (IOException e) {
            throw new AssertionError(line, e);
        }
    }
}
