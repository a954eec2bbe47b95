package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.testkit.Golden;
import dev.demitasse.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ToolSessionTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(512);
    private static final GenerationOptions GREEDY =
            GenerationOptions.GREEDY.withMaximumTokens(8).withIgnoreEnd(true);
    private static final Tool TOOL = new Tool("count_cups", "Counts cups.", "{\"type\": \"object\"}");

    /** A template that knows tools and thoughts, in the manner of Qwen 3. */
    private static final String TEMPLATE = """
            {% for tool in tools or [] %}{{ tool | tojson }}
            {% endfor %}{% for m in messages %}{{ m.role }}:
            {%- if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}
            {{- m.content }}{% for c in m.tool_calls or [] %}
            <tool_call>
            {"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
            </tool_call>{% endfor %}
            {% endfor %}{{ prefix }}""";

    private static Model model(String prefix) {
        return Model.load(
                Golden.tiny("llama"),
                OPTIONS.withChatTemplate(TEMPLATE).withTemplateVariables(Map.of("prefix", prefix)));
    }

    private static String prompt(Model model, Generation answer) {
        return model.tokenizer()
                .decode(answer.promptTokens().stream().mapToInt(id -> id).toArray());
    }

    @Test
    void aThoughtIsNoTextAndTheTemplateHearsOfIt() {
        try (Model model = model("assistant:<think>");
                Session session = model.newSession()) {
            StringBuilder thought = new StringBuilder();
            StringBuilder said = new StringBuilder();
            AnswerListener listener = new AnswerListener() {
                @Override
                public void text(String piece) {
                    said.append(piece);
                }

                @Override
                public void thinking(String piece) {
                    thought.append(piece);
                }
            };
            Generation answer = session.chat(List.of(Message.user("hi")), GREEDY, listener);
            assertThat(answer.text()).isEqualTo(said.toString()).isEmpty();
            assertThat(answer.thinking()).isEqualTo(thought.toString()).isNotBlank();
            assertThat(answer.finishReason()).isEqualTo(FinishReason.LENGTH);
            assertThat(session.history().getLast().thinking()).isEqualTo(answer.thinking());
            assertThat(prompt(model, session.chat("go on", GREEDY, text -> {})))
                    .as("a thought that was cut off is what the model said")
                    .contains("assistant:" + answer.thinking());
        }
        try (Model model = model("assistant:");
                Session session = model.newSession()) {
            assertThat(session.chat("hi", GREEDY, text -> {}).thinking()).isEmpty();
        }
    }

    @Test
    void toolsCallsAndResultsAreInThePrompt() {
        GenerationOptions options = GREEDY.withTools(List.of(TOOL));
        try (Model model = model("assistant:");
                Session session = model.newSession()) {
            ToolCall call = new ToolCall("call00000", "count_cups", "{\"room\": \"kitchen\"}");
            session.history(List.of(Message.user("how many"), Message.assistant("I look.", "", List.of(call))));
            Generation answer = session.chat(List.of(Message.tool(call, "three")), options, text -> {});
            assertThat(answer.toolCalls()).isEmpty();
            assertThat(prompt(model, answer))
                    .contains("\"description\": \"Counts cups.\"")
                    .contains("I look.<tool_call>\n{\"name\": \"count_cups\", \"arguments\": {\"room\": \"kitchen\"}}")
                    .contains("tool:three");
            assertThat(session.history()).hasSize(4);
        }
    }

    @Test
    void toolsThatATemplateDoesNotKnowAreRefused() {
        String plain = "{% for m in messages %}{{ m.content }}{% endfor %}";
        GenerationOptions options = GREEDY.withTools(List.of(TOOL));
        try (Model model = Model.load(Golden.tiny("llama"), OPTIONS.withChatTemplate(plain));
                Session session = model.newSession()) {
            assertThat(model.knowsTools()).isFalse();
            assertThatThrownBy(() -> session.chat(List.of(Message.user("hi")), options, text -> {}))
                    .isInstanceOf(UnsupportedModelException.class)
                    .hasMessageContaining("tools");
            assertThat(session.history()).isEmpty();
            assertThat(session.chat("hi", GREEDY, text -> {}).tokens()).hasSize(8);
        }
        try (Model model = model("")) {
            assertThat(model.knowsTools()).isTrue();
        }
        assertThatThrownBy(() -> GREEDY.withTools(List.of(TOOL, TOOL))).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> new Tool("a b", "", "{}"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("a b");
        assertThatThrownBy(() -> new Tool("a", "", "[]"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("no JSON object");
        assertThatThrownBy(() -> new ToolCall("", "a", "{} {}")).isInstanceOf(UsageException.class);
    }

    /** Reads an answer of Gemma 4 with its real vocabulary, whose marks are tokens. */
    private static AnswerReader read(String answer, List<String> stop, List<String> heard) throws IOException {
        String source = Files.readString(Golden.shared("chat/templates/google-gemma-4-31B-it.jinja"));
        try (Gguf file = Gguf.open(Golden.shared("tokenizers/gemma4.gguf"))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            ChatFormat format = ChatFormat.of(file.metadata(), tokenizer, OPTIONS.withChatTemplate(source));
            List<Message> messages = List.of(Message.user("hi"));
            ChatFormat.Prompt prompt = format.encode(messages, List.of(TOOL));
            assertThat(prompt.text()).contains("count_cups");
            AnswerReader reader = new AnswerReader(
                    tokenizer, stop, heard::add, sink -> format.parser(prompt, messages, List.of(TOOL), sink));
            int[] tokens = tokenizer.encode(answer, true);
            for (int i = 0; i < tokens.length && !reader.stopped(); i++) {
                reader.append(tokens[i]);
            }
            return reader;
        }
    }

    /** A stop text ends the text alone. */
    @Test
    void partsOfAnAnswerAreReadFromTokens() throws IOException {
        String answer = "<|channel>thought\nOne, twö STOP.<channel|>I count. STOP"
                + "<|tool_call>call:count_cups{room:<|\"|>kitchen<|\"|>}<tool_call|><turn|>";
        for (List<String> stop : List.<List<String>>of(List.of(), List.of(" STOP"))) {
            List<String> heard = new ArrayList<>();
            AnswerReader reader = read(answer, stop, heard);
            reader.finish();
            assertThat(reader.thinking()).isEqualTo("One, twö STOP.");
            assertThat(reader.stopped()).isEqualTo(!stop.isEmpty());
            assertThat(reader.text()).isEqualTo(stop.isEmpty() ? "I count. STOP" : "I count.");
            assertThat(String.join("", heard)).isEqualTo(reader.text());
            assertThat(reader.toolCalls())
                    .isEqualTo(
                            stop.isEmpty()
                                    ? List.of(new ToolCall("call00000", "count_cups", "{\"room\":\"kitchen\"}"))
                                    : List.of());
        }
    }

    /** White space may belong to no part, and yet ends an answer where it is a stop text. */
    @Test
    void aStopTextOfWhiteSpaceIsSeenAtOnce() throws IOException {
        List<String> heard = new ArrayList<>();
        AnswerReader reader = read("A \n\n", List.of("\n\n"), heard);
        assertThat(reader.stopped()).isTrue();
        reader.finish();
        assertThat(reader.text()).isEqualTo("A ").isEqualTo(String.join("", heard));
    }
}
