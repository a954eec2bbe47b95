package dev.demitasse.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.template.ChatTemplate;
import dev.demitasse.template.JinjaException;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

class ChatTemplateGoldenTest {
    /** The day on which the golden answers say they were rendered. */
    private static final Clock CLOCK = Clock.fixed(Instant.parse("2026-01-02T03:04:05Z"), ZoneOffset.UTC);

    private static final String ANSWERS = "chat/rendered.jsonl";

    @TestFactory
    @SuppressWarnings("unchecked")
    Stream<DynamicTest> rendersAsJinja2() {
        if (!Golden.hasShared(ANSWERS)) {
            return Stream.of(DynamicTest.dynamicTest(ANSWERS, () -> Golden.shared(ANSWERS))); // reports the skip
        }
        Path answers = Golden.shared(ANSWERS);
        Path folder = answers.resolveSibling("templates");
        return Golden.lines(answers).stream()
                .map(row -> DynamicTest.dynamicTest(
                        row.get("template").asText() + " " + row.get("case").asText(), () -> {
                            String source = Files.readString(
                                    folder.resolve(row.get("template").asText()));
                            Map<String, Object> context =
                                    new ObjectMapper().convertValue(row.get("context"), Map.class);
                            check(row, source, context);
                        }));
    }

    private static void check(JsonNode row, String source, Map<String, Object> context) throws IOException {
        if (row.has("error")) {
            String error = row.get("error").asText();
            String message = error.substring(error.indexOf(": ") + 2);
            assertThatThrownBy(() -> ChatTemplate.parse(source).render(context, CLOCK))
                    .isInstanceOf(JinjaException.class)
                    .hasMessageContaining(message);
        } else {
            assertThat(ChatTemplate.parse(source).render(context, CLOCK))
                    .isEqualTo(row.get("rendered").asText());
        }
    }
}
