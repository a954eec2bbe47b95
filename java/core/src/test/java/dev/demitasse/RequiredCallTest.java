package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.chat.ToolChoice;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.Constraint;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import dev.demitasse.testkit.Golden;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Answers that have to be a call of a tool, of a model that knows nothing: whatever it likes, they are. */
class RequiredCallTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(1024);
    private static final Tool CUPS = new Tool("count_cups", "Counts cups.", """
            {"properties": {"room": {"enum": ["hall", "kitchen"]}, "clean": {"type": "boolean"}},
             "required": ["room", "clean"], "additionalProperties": false}""");
    private static final Tool BREW = new Tool("brew", "Brews coffee.", """
            {"type": "object", "properties": {"cups": {"type": "integer", "minimum": 1, "maximum": 9}},
             "required": ["cups"], "additionalProperties": false}""");
    private static final Tool BREW_TWICE =
            new Tool("brew_twice", "Brews it twice.", "{\"type\": \"object\", \"additionalProperties\": false}");

    /** Calls as Hermes writes them, and as Qwen 3 Coder does, behind a thought that the prompt begins. */
    private static final String JSON = """
            {% for tool in tools or [] %}{{ tool | tojson }}
            {% endfor %}{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}
            <tool_call>
            {"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
            </tool_call>{% endfor %}
            {% endfor %}assistant:<think>{# </think> #}""";

    private static final String PARAMETERS = """
            {% for tool in tools or [] %}{{ tool | tojson }}
            {% endfor %}{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}
            <tool_call>
            <function={{ c.function.name }}>
            {% for k, v in c.function.arguments.items() %}<parameter={{ k }}>
            {{ v }}
            </parameter>
            {% endfor %}</function>
            </tool_call>{% endfor %}
            {% endfor %}assistant:{# </think> #}""";

    private final long seed = Long.getLong("demitasse.seed", 20261130L);

    private static Model model(String template) {
        return Model.load(Golden.tiny("llama"), OPTIONS.withChatTemplate(template));
    }

    private static GenerationOptions required(List<Tool> tools) {
        return GenerationOptions.DEFAULT
                .withTools(tools)
                .withToolChoice(ToolChoice.REQUIRED)
                .withMaximumTokens(200);
    }

    @Test
    void everyAnswerIsACallOfATool() {
        Set<String> called = new HashSet<>();
        for (String template : List.of(JSON, PARAMETERS)) {
            try (Model model = model(template)) {
                for (int round = 0; round < 20; round++) {
                    SamplingOptions sampling =
                            SamplingOptions.DEFAULT.withTemperature(2).withSeed(seed + round);
                    try (Session session = model.newSession()) {
                        List<ToolCall> heard = new ArrayList<>();
                        AnswerListener listener = new AnswerListener() {
                            @Override
                            public void text(String piece) {
                                throw new AssertionError("a call is no text: " + piece);
                            }

                            @Override
                            public void toolCall(ToolCall call) {
                                heard.add(call);
                            }
                        };
                        Generation answer = session.chat(
                                List.of(Message.user("hi")),
                                required(List.of(CUPS, BREW, BREW_TWICE)).withSampling(sampling),
                                listener);
                        assertThat(answer.toolCalls())
                                .as("seed %d, round %d", seed, round)
                                .hasSize(1)
                                .isEqualTo(heard);
                        requireValid(answer.toolCalls().getFirst());
                        called.add(answer.toolCalls().getFirst().name());
                        assertThat(answer.finishReason()).isEqualTo(FinishReason.STOP);
                        assertThat(answer.text() + answer.thinking()).isEmpty();
                        assertThat(session.history().getLast().toolCalls()).isEqualTo(heard);
                        Message result = Message.tool(heard.getFirst(), "3");
                        GenerationOptions free = required(List.of(CUPS, BREW, BREW_TWICE))
                                .withToolChoice(ToolChoice.AUTO)
                                .withMaximumTokens(2);
                        assertThat(session.chat(List.of(result), free, text -> {})
                                        .cachedTokens())
                                .isPositive();
                    }
                }
            }
        }
        assertThat(called).as("seed %d", seed).hasSizeGreaterThan(1);
    }

    private static void requireValid(ToolCall call) {
        Map<String, ?> values = call.values();
        switch (call.name()) {
            case "count_cups" -> {
                assertThat(values.keySet()).containsExactly("room", "clean");
                assertThat(values.get("room")).isIn("hall", "kitchen");
                assertThat(values.get("clean")).isInstanceOf(Boolean.class);
            }
            case "brew" -> assertThat((Long) values.get("cups")).isBetween(1L, 9L);
            default -> assertThat(values).isEmpty();
        }
    }

    /** A prompt that has begun a thought ends it, and begins the call as the template would. */
    @Test
    void theCallIsBegunForTheModel() {
        try (Model model = model(JSON);
                Session session = model.newSession()) {
            Generation answer = session.chat(List.of(Message.user("hi")), required(List.of(BREW)), text -> {});
            String prompt = model.tokenizer()
                    .decode(answer.promptTokens().stream().mapToInt(id -> id).toArray());
            assertThat(prompt)
                    .endsWith("assistant:<think>\n</think>\n\n<tool_call>\n{\"name\": \"brew\", \"arguments\": ");
            assertThat(answer.toolCalls()).hasSize(1);
        }
    }

    @Test
    void oneThatWasCutOffCallsNothing() {
        try (Model model = model(JSON);
                Session session = model.newSession()) {
            for (int tokens : new int[] {1, 3}) {
                Generation answer = session.chat(
                        List.of(Message.user("hi")),
                        required(List.of(CUPS, BREW)).withMaximumTokens(tokens),
                        text -> {});
                assertThat(answer.toolCalls()).isEmpty();
                assertThat(answer.finishReason()).isEqualTo(FinishReason.LENGTH);
                assertThat(answer.tokens()).hasSizeLessThanOrEqualTo(tokens);
                assertThat(session.history()).isEmpty();
            }
        }
    }

    @Test
    void whatCannotBeFollowedIsRefusedWithTheToolsName() {
        Tool odd = new Tool("odd", "", "{\"type\": \"object\", \"not\": {}}");
        try (Model model = model(JSON);
                Session session = model.newSession()) {
            assertThatThrownBy(() -> session.chat(List.of(Message.user("hi")), required(List.of(odd)), text -> {}))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("\"odd\"")
                    .hasMessageContaining("not");
            assertThat(session.history()).isEmpty();
        }
    }

    /** Ids are those of the conversation's calls, where a template writes them before arguments, too. */
    @Test
    void callsAreNumbered() {
        String numbered = """
                {% for tool in tools or [] %}{{ tool | tojson }}
                {% endfor %}{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}
                [TOOL_CALLS]{{ c.function.name }}[CALL_ID]{{ c.id }}[ARGS]{{ c.function.arguments | tojson }}
                {%- endfor %}
                {% endfor %}assistant:""";
        try (Model model = model(numbered);
                Session session = model.newSession()) {
            List<Message> next = List.of(Message.user("hi"));
            for (int number = 0; number < 3; number++) {
                Generation answer = session.chat(next, required(List.of(BREW_TWICE, BREW)), text -> {});
                ToolCall call = answer.toolCalls().getFirst();
                assertThat(call.id()).isEqualTo("call0000" + number);
                next = List.of(Message.tool(call, "done"));
                Generation one = session.fork().chat(next, required(List.of(BREW_TWICE)), text -> {});
                assertThat(model.tokenizer()
                                .decode(one.promptTokens().stream()
                                        .mapToInt(id -> id)
                                        .toArray()))
                        .contains(call.name() + "[CALL_ID]" + call.id() + "[ARGS]")
                        .endsWith("[TOOL_CALLS]brew_twice[CALL_ID]call0000" + (number + 1) + "[ARGS]");
            }
        }
    }

    /** Where text cannot have what follows a name, that ends it: else the longer of two names would be called. */
    @Test
    void aMarkEndsAName() {
        Constraint names = new Constraint() {
            @Override
            public void restrict(float[] logits, int[] tokens, int from, int count) {
                logits[3] = Float.NEGATIVE_INFINITY;
            }

            @Override
            public void accept(int token) {}

            @Override
            public boolean isComplete() {
                return false;
            }
        };
        float[] logits = {1, -5, 2, 7};
        new EndingConstraint(names, 3, 1).restrict(logits, new int[0], 0, 0);
        assertThat(logits).containsExactly(1, 7, 2, Float.NEGATIVE_INFINITY);
    }

    /** One answer is told once, whatever it is made of. */
    @Test
    void anAnswerIsToldOnce() {
        try (Model model = model(JSON);
                Session session = model.newSession()) {
            List<Generation> heard = new ArrayList<>();
            try (Model.Listening listening = model.listen(heard::add)) {
                session.chat(List.of(Message.user("hi")), required(List.of(CUPS, BREW)), text -> {});
                assertThat(listening).isNotNull();
            }
            assertThat(heard).hasSize(1);
            assertThat(heard.getFirst().toolCalls()).hasSize(1);
        }
    }
}
