package dev.demitasse.dialect;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.chat.Message;
import dev.demitasse.template.ChatTemplate;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class DialectTest {
    /** Marks in texts stay what they are. */
    static final Dialect.Marks AS_WRITTEN = new Dialect.Marks() {
        @Override
        public String of(String text) {
            return text;
        }

        @Override
        public String ofModel(String text) {
            return text;
        }
    };

    private static final String NO_THOUGHT = "<think>\n\n</think>\n\n";

    private static Path template(String name) {
        return Golden.shared("chat/rendered.jsonl").resolveSibling("templates").resolve(name + ".jinja");
    }

    private static String prompt(Map<String, Object> variables, Dialect.Start start) throws IOException {
        String source = Files.readString(template("Qwen-Qwen3-0.6B"));
        Dialect dialect =
                new Dialect(ChatTemplate.parse(source), source, variables, token -> AnswerParser.Kind.WRITTEN);
        return dialect.render(List.of(Message.user("Hi.")), List.of(), start, AS_WRITTEN);
    }

    /** Qwen 3 thinks unless its template is told not to, or the answer is to have a form. */
    @Test
    void aTemplatesVariableDecidesWhetherTheModelThinks() throws IOException {
        assertThat(prompt(Map.of(), Dialect.Start.FREE)).endsWith("<|im_start|>assistant\n");
        assertThat(prompt(Map.of("enable_thinking", true), Dialect.Start.FREE)).endsWith("<|im_start|>assistant\n");
        assertThat(prompt(Map.of("enable_thinking", false), Dialect.Start.FREE)).endsWith(NO_THOUGHT);
        assertThat(prompt(Map.of(), Dialect.Start.TEXT)).endsWith(NO_THOUGHT);
        assertThat(prompt(Map.of("enable_thinking", true), Dialect.Start.TEXT))
                .as("a variable that is given stays as it is")
                .endsWith("<|im_start|>assistant\n");
    }

    static Stream<Arguments> thoughts() {
        return Stream.of(
                Arguments.of("CohereForAI-c4ai-command-r7b-12-2024-tool_use", ThinkingFormat.COHERE),
                Arguments.of("mistralai-Ministral-3-14B-Reasoning-2512", ThinkingFormat.MISTRAL),
                Arguments.of("Apertus-8B-Instruct", ThinkingFormat.APERTUS),
                Arguments.of("Apriel-1.6-15b-Thinker-fixed", ThinkingFormat.APRIEL),
                Arguments.of("ibm-granite-granite-3.3-2B-Instruct", ThinkingFormat.GRANITE),
                Arguments.of("google-gemma-4-31B-it", ThinkingFormat.GEMMA),
                Arguments.of("Qwen-Qwen3-0.6B", ThinkingFormat.TAGS),
                Arguments.of("GLM-4.6", ThinkingFormat.TAGS),
                Arguments.of("meta-llama-Llama-3.1-8B-Instruct", null));
    }

    @ParameterizedTest
    @MethodSource("thoughts")
    void thoughtsAreMarkedAsTheTemplateHasThem(String name, @Nullable ThinkingFormat expected) throws IOException {
        assertThat(Objects.equals(ThinkingFormat.of(Files.readString(template(name))), expected))
                .as(name)
                .isTrue();
    }
}
