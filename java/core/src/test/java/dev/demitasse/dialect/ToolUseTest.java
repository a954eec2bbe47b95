package dev.demitasse.dialect;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.template.ChatTemplate;
import dev.demitasse.template.JinjaException;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ToolUseTest {
    private static final String ANSWERS = "chat/rendered.jsonl";
    private static final Map<String, Object> SPELLINGS = Map.of("bos_token", "<s>", "eos_token", "</s>");
    private static final String QUESTION = "What is the weather like?";
    private static final Tool WEATHER = new Tool("get_weather", "Tells the weather.", """
            {"type": "object", "required": ["city"], "properties": {
              "city": {"type": "string", "description": "A city."},
              "code": {"type": "string", "description": "A code."},
              "days": {"type": "integer", "description": "How many."},
              "exact": {"type": "boolean", "description": "Whether."},
              "parts": {"type": "array", "items": {"type": "string"}, "description": "Of a day."},
              "at": {"type": "object", "additionalProperties": {"type": "number"}, "description": "Where."}}}""");
    private static final ToolCall CALL = new ToolCall("call00000", "get_weather", """
            {"city": "Zürich \\"5\\"", "code": "8001", "days": 3, "exact": true, "parts": ["a", "b"],
             "at": {"x": 1.5}}""");

    /** What each template of the golden set is; those that are missing tell the model of no tools, or are faulty. */
    private static final Map<String, ToolFormat> FORMATS = Map.ofEntries(
            entry("Apertus-8B-Instruct", ToolFormat.APERTUS),
            entry("Apriel-1.6-15b-Thinker-fixed", ToolFormat.TAGGED_LIST),
            entry("Bielik-11B-v3.0-Instruct", ToolFormat.TAGGED_JSON),
            entry("CohereForAI-c4ai-command-r-plus-tool_use", ToolFormat.ACTION_BLOCK),
            entry("CohereForAI-c4ai-command-r7b-12-2024-tool_use", ToolFormat.ACTION),
            entry("GLM-4.6", ToolFormat.TAGGED_KEYS),
            entry("GLM-5.2", ToolFormat.TAGGED_KEYS),
            entry("GigaChat3-10B-A1.8B", ToolFormat.FUNCTION_ROLE),
            entry("GigaChat3.1-10B-A1.8B", ToolFormat.FUNCTION_CALL),
            entry("Kimi-K2-Thinking", ToolFormat.KIMI),
            entry("LFM2.5-Instruct", ToolFormat.LFM),
            entry("Mistral-Small-3.2-24B-Instruct-2506", ToolFormat.MISTRAL_NAMED),
            entry("NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", ToolFormat.TAGGED_JSON),
            entry("Qwen-Qwen2.5-7B-Instruct", ToolFormat.TAGGED_JSON),
            entry("Qwen-Qwen3-0.6B", ToolFormat.TAGGED_JSON),
            entry("Qwen3-Coder", ToolFormat.TAGGED_FUNCTION),
            entry("Qwen3.5-4B", ToolFormat.TAGGED_FUNCTION),
            entry("Reka-Edge", ToolFormat.TAGGED_JSON),
            entry("StepFun3.5-Flash", ToolFormat.TAGGED_FUNCTION),
            entry("deepseek-ai-DeepSeek-V3.2", ToolFormat.DEEPSEEK_MARKUP),
            entry("deepseek-ai-DeepSeek-V4", ToolFormat.DEEPSEEK_MARKUP_4),
            entry("google-gemma-4-31B-it", ToolFormat.GEMMA),
            entry("ibm-granite-granite-3.3-2B-Instruct", ToolFormat.GRANITE),
            entry("meetkai-functionary-medium-v3.1", ToolFormat.FUNCTION_TAG),
            entry("meetkai-functionary-medium-v3.2", ToolFormat.RECIPIENT),
            entry("meta-llama-Llama-3.1-8B-Instruct", ToolFormat.BARE_JSON),
            entry("meta-llama-Llama-3.2-3B-Instruct", ToolFormat.BARE_JSON),
            entry("meta-llama-Llama-3.3-70B-Instruct", ToolFormat.BARE_JSON),
            entry("mistralai-Ministral-3-14B-Reasoning-2512", ToolFormat.MISTRAL_NAMED),
            entry("mistralai-Mistral-Nemo-Instruct-2407", ToolFormat.MISTRAL_LIST),
            entry("moonshotai-Kimi-K2", ToolFormat.KIMI),
            entry("unsloth-Apriel-1.5", ToolFormat.TAGGED_LIST),
            entry("unsloth-mistral-Devstral-Small-2507", ToolFormat.MISTRAL_NAMED));

    /** Templates that write no calls themselves: their format is known by a token, or by what they tell the model. */
    private static final Set<ToolFormat> UNWRITTEN = Set.of(ToolFormat.LFM, ToolFormat.GRANITE, ToolFormat.KIMI);

    /** Formats whose arguments are no object of JSON: required calls are plain JSON. */
    private static final Set<ToolFormat> OWN_NOTATION = Set.of(
            ToolFormat.TAGGED_FUNCTION,
            ToolFormat.TAGGED_KEYS,
            ToolFormat.DEEPSEEK_MARKUP,
            ToolFormat.DEEPSEEK_MARKUP_4,
            ToolFormat.LFM,
            ToolFormat.GEMMA);

    /** Its template asks for what Jinja2's sandbox forbids. */
    private static final Set<String> FAULTY = Set.of("Kimi-K2-Thinking.jinja");

    @TestFactory
    Stream<DynamicTest> callsAreReadAsTheTemplateWritesThem() {
        if (!Golden.hasShared(ANSWERS)) {
            return Stream.of(DynamicTest.dynamicTest(ANSWERS, () -> Golden.shared(ANSWERS))); // reports the skip
        }
        Path folder = Golden.shared(ANSWERS).resolveSibling("templates");
        return Golden.lines(Golden.shared(ANSWERS)).stream()
                .map(row -> row.get("template").asText())
                .distinct()
                .map(name -> DynamicTest.dynamicTest(name, () -> check(name, folder.resolve(name))));
    }

    /** Whatever the model may answer, its template takes on the next turn; some leave out a text beside calls. */
    private static void requireNextTurn(Dialect dialect) {
        ToolCall second = new ToolCall("call00001", "get_weather", "{\"city\": \"Bern\", \"code\": \"3001\"}");
        List<Message> messages = List.of(
                Message.user("Hi."),
                Message.assistant("Hello.", "A greeting.", List.of()),
                Message.user(QUESTION),
                Message.assistant("I look.", "Let me see.", List.of(CALL, second)),
                Message.tool(CALL, "rain"),
                Message.tool(second, "sun"),
                Message.assistant("It rains."),
                Message.user("Sure?"),
                Message.assistant("", "A thought that was cut o", List.of()),
                Message.user("Well?"));
        assertThat(dialect.render(messages, List.of(WEATHER), Dialect.Start.FREE, DialectTest.AS_WRITTEN))
                .contains("8001", "Bern", "3001", "rain", "sun", "Well?");
        assertThat(dialect.render(
                        messages.subList(7, 10), List.of(WEATHER), Dialect.Start.FREE, DialectTest.AS_WRITTEN))
                .contains("cut o");
    }

    private static void check(String name, Path file) throws IOException {
        String source = Files.readString(file);
        ToolFormat expected = FORMATS.get(name.replace(".jinja", ""));
        ChatTemplate template = ChatTemplate.parse(source);
        ToolUse.Renderer renderer = (messages, tools, prompt) -> {
            try {
                return render(template, messages, tools, prompt);
            } catch (JinjaException e) {
                return null;
            }
        };
        Set<String> tokens = Set.of("<|tool_call_start|>", "<|tool_calls_section_begin|>");
        ToolUse use = ToolUse.find(
                renderer, token -> expected != null && tokens.contains(token) && token.equals(expected.begin()));
        assertThat(use == null ? null : use.format()).isEqualTo(expected);
        if (use == null) {
            return;
        }
        if (!FAULTY.contains(name)) {
            requireNextTurn(new Dialect(
                    template,
                    source,
                    SPELLINGS,
                    token -> tokens.contains(token) && token.equals(use.format().begin())
                            ? AnswerParser.Kind.CONTROL
                            : AnswerParser.Kind.WRITTEN));
        }
        String written = renderer.render(
                List.of(
                        TemplateValues.of(Message.user(QUESTION), UnaryOperator.identity(), null),
                        TemplateValues.of(Message.assistant("", "", List.of(CALL)), UnaryOperator.identity(), use)),
                List.of(WEATHER),
                false);
        if (written == null || !written.contains("8001")) {
            assertThat(UNWRITTEN).contains(use.format());
            return;
        }
        String answer = written.substring(written.lastIndexOf(QUESTION) + QUESTION.length());
        CallFrame frame = use.frame();
        assertThat(frame.equals(CallFrame.JSON))
                .as("%s %s: %s", name, use, answer)
                .isEqualTo(OWN_NOTATION.contains(use.format()));
        if (!OWN_NOTATION.contains(use.format())) {
            assertThat(answer).contains(frame.lead() + frame.before() + CALL.name() + frame.between() + "{");
        }
        Heard heard = new Heard();
        int from = use.format().isBare() ? answer.indexOf(use.format().begin()) : 0;
        AnswerParser parser = new MarkedParser(
                null,
                use.format(),
                List.of(WEATHER),
                "",
                new CallCounter(0),
                heard,
                token -> AnswerParser.Kind.WRITTEN);
        int to = use.format().isBare() ? answer.lastIndexOf('}') + 1 : answer.length();
        heard.read(parser, answer.substring(from, to), 1);
        assertThat(heard.calls).as(answer).hasSize(1);
        assertThat(heard.calls.getFirst().name()).isEqualTo(CALL.name());
        assertThat(heard.calls.getFirst().values()).isEqualTo(CALL.values());
    }

    private static String render(
            ChatTemplate template, List<Map<String, @Nullable Object>> messages, List<Tool> tools, boolean prompt) {
        Map<String, @Nullable Object> context = new java.util.HashMap<>(SPELLINGS);
        context.put("messages", messages);
        context.put("add_generation_prompt", prompt);
        context.put(
                "tools",
                tools.isEmpty()
                        ? null
                        : tools.stream()
                                .map(tool -> TemplateValues.of(tool, UnaryOperator.identity()))
                                .toList());
        return template.render(context);
    }

    private static final String TOLD = """
            {%- for tool in tools or [] %}{{ tool.function | tojson }} {% endfor %}
            {%- if tools %}Call a tool as <function=name>{"key": "value"}</function>.{% endif %}
            {%- for m in messages %}<{{ m.role }}>{{ m.content }}
            {%- for c in m.tool_calls or [] %}CALL{% endfor %}{% endfor %}
            {%- if add_generation_prompt %}<assistant>{% endif %}""";

    /** As the templates of Seed-OSS, Nemotron Nano 2 and OLMo 3 write them; and one that nobody knows. */
    @ParameterizedTest
    @MethodSource("written")
    void aTemplatesOwnCallsAreFoundAndOthersAreNotTakenForThem(String call, @Nullable ToolFormat expected) {
        ChatTemplate template = ChatTemplate.parse(TOLD.replace("CALL", call));
        ToolUse use = ToolUse.find(
                (messages, tools, prompt) -> render(template, messages, tools, prompt),
                token -> token.startsWith("<|python_"));
        assertThat(use == null ? null : use.format()).isEqualTo(expected);
    }

    static Stream<Arguments> written() {
        String pairs = "{%- for k, v in c.function.arguments | items %}";
        String json = "{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson }}}";
        return Stream.of(
                Arguments.of(
                        "<seed:tool_call>\n<function={{ c.function.name }}>" + pairs
                                + "\n<parameter={{ k }}>{{ v }}</parameter>{% endfor %}\n</function>\n"
                                + "</seed:tool_call>",
                        ToolFormat.SEED),
                Arguments.of("<TOOLCALL>[" + json + "]</TOOLCALL>", ToolFormat.TAGGED_CALLS),
                Arguments.of(
                        "<function_calls>{{ c.function.name }}(" + pairs
                                + "{{ k }}={{ v | tojson }}{{ ', ' if not loop.last }}{% endfor %})</function_calls>",
                        ToolFormat.OLMO),
                Arguments.of(json, ToolFormat.BARE_JSON),
                Arguments.of("<|python_start|><|python_end|>" + json, ToolFormat.BARE_JSON), // Llama 4
                Arguments.of("<|strange|>" + json, null),
                Arguments.of("<strange:call>" + json + "</strange:call>", null),
                Arguments.of("<strange>{{ c.function.name }}: {{ c.function.arguments.room }}</strange>", null));
    }

    /** The whole way: what the template has of tools, of a call and of its result. */
    @Test
    void toolsAndTheirResultsAreRendered() {
        String source = """
                {%- for tool in tools %}[{{ tool.function.name }}: {{ tool.function.parameters | tojson }}]{% endfor %}
                {%- for m in messages %}<{{ m.role }}>
                {%- if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}
                {%- for c in m.tool_calls or [] %}<tool_call>{"name": "{{ c.function.name }}", "arguments":
                {{- c.function.arguments | tojson }}}</tool_call>{% endfor %}
                {%- if m.role == "tool" %} for {{ m.tool_call_id }} of {{ m.name }}{% endif %}{% endfor %}""";
        Dialect dialect = new Dialect(ChatTemplate.parse(source), source, Map.of(), token -> AnswerParser.Kind.WRITTEN);
        assertThat(dialect.knowsTools()).isTrue();
        Tool tool = new Tool("count", "Counts.", "{\"type\": \"object\"}");
        ToolCall call = new ToolCall("call00007", "count", "{\"of\": \"cups|\"}");
        Dialect.Marks marks = new Dialect.Marks() {
            @Override
            public String of(String text) {
                return text.replace("|", "!");
            }

            @Override
            public String ofModel(String text) {
                return text.replace("|", "?");
            }
        };
        assertThat(dialect.render(
                        List.of(
                                Message.user("how many|"),
                                Message.assistant("", "I count|", List.of(call)),
                                Message.tool(call, "3|")),
                        List.of(tool),
                        Dialect.Start.FREE,
                        marks))
                .isEqualTo("[count: {\"type\": \"object\"}]<user>how many!<assistant><think>I count?</think>"
                        + "<tool_call>{\"name\": \"count\", \"arguments\":{\"of\": \"cups?\"}}</tool_call>"
                        + "<tool>3! for call00007 of count");
        String silent = "{% for m in messages %}{{ m.content }}{% endfor %}";
        assertThat(new Dialect(ChatTemplate.parse(silent), silent, Map.of(), token -> AnswerParser.Kind.CONTROL)
                        .knowsTools())
                .as("a template that has no tools")
                .isFalse();
        assertThat(Objects.requireNonNull(ThinkingFormat.of(source))).isEqualTo(ThinkingFormat.TAGS);
    }
}
