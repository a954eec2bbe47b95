package dev.demitasse.springai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.EmbeddingModel;
import dev.demitasse.EmbeddingOptions;
import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.chat.ToolChoice;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.testkit.Golden;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.content.Media;
import org.springframework.ai.embedding.observation.EmbeddingModelObservationContext;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.definition.ToolDefinition;
import org.springframework.ai.tool.metadata.ToolMetadata;
import org.springframework.core.io.ByteArrayResource;
import org.springframework.util.MimeTypeUtils;
import reactor.core.scheduler.Schedulers;

class DemitasseChatModelTest {
    private static final GenerationOptions GREEDY =
            GenerationOptions.GREEDY.withMaximumTokens(12).withIgnoreEnd(true);

    /** Knows tools, in the manner of Hermes. */
    private static final String TEMPLATE = """
            {% for tool in tools or [] %}{{ tool | tojson }}
            {% endfor %}{% for m in messages %}{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}
            <tool_call>
            {"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
            </tool_call>{% endfor %}
            {% endfor %}assistant:""";

    private static Model model;

    @BeforeAll
    static void load() {
        model = Model.load(
                Golden.tiny("llama"),
                ModelOptions.DEFAULT
                        .withBackend("reference")
                        .withContextLength(1024)
                        .withChatTemplate(TEMPLATE));
    }

    @AfterAll
    static void close() {
        model.close();
    }

    private static DemitasseChatModel chat() {
        return DemitasseChatModel.builder(model).generationOptions(GREEDY).build();
    }

    private static String text(ChatResponse response) {
        return String.valueOf(result(response).getOutput().getText());
    }

    private static org.springframework.ai.chat.model.Generation result(ChatResponse response) {
        return Objects.requireNonNull(response.getResult());
    }

    private static ToolCallback tool() {
        return new ToolCallback() {
            @Override
            public ToolDefinition getToolDefinition() {
                return ToolDefinition.builder()
                        .name("count_cups")
                        .description("Counts cups.")
                        .inputSchema("{\"type\":\"object\",\"properties\":{\"room\":{\"type\":\"string\"}}}")
                        .build();
            }

            @Override
            public String call(String input) {
                return "3";
            }
        };
    }

    /** The model is made to call; what the tool returns is the answer, so that there is one call. */
    @Test
    void aChatClientRunsTheToolsThatAreCalled() {
        List<String> inputs = new ArrayList<>();
        ToolCallback counting = new ToolCallback() {
            @Override
            public ToolDefinition getToolDefinition() {
                return ToolDefinition.builder()
                        .name("count_cups")
                        .description("Counts cups.")
                        .inputSchema("{\"type\":\"object\",\"properties\":{\"room\":{\"enum\":[\"hall\",\"bar\"]}},"
                                + "\"required\":[\"room\"]}")
                        .build();
            }

            @Override
            public ToolMetadata getToolMetadata() {
                return ToolMetadata.builder().returnDirect(true).build();
            }

            @Override
            public String call(String input) {
                inputs.add(input);
                return "three";
            }
        };
        DemitasseChatModel calling = DemitasseChatModel.builder(model)
                .generationOptions(GREEDY.withMaximumTokens(100).withToolChoice(ToolChoice.REQUIRED))
                .build();
        String answer = ChatClient.create(calling)
                .prompt("How many?")
                .tools(counting)
                .call()
                .content();
        assertThat(answer).isEqualTo("three");
        assertThat(inputs).hasSize(1).first().asString().containsPattern("\"room\": ?\"(hall|bar)\"");
    }

    /** All kinds of messages, and tools, are what a session makes of them. */
    @Test
    void answersAreThoseOfASession() {
        List<Message> messages = List.of(
                new SystemMessage("Be brief."),
                new UserMessage("How many cups?"),
                AssistantMessage.builder()
                        .content("")
                        .properties(Map.of("thinking", "I must count."))
                        .toolCalls(List.of(new AssistantMessage.ToolCall("1", "function", "count_cups", "")))
                        .build(),
                ToolResponseMessage.builder()
                        .responses(List.of(new ToolResponseMessage.ToolResponse("1", "count_cups", "3")))
                        .build());
        ToolCall call = new ToolCall("1", "count_cups", "{}");
        Tool told = new Tool(
                "count_cups", "Counts cups.", "{\"type\":\"object\",\"properties\":{\"room\":{\"type\":\"string\"}}}");
        String expected;
        try (Session session = model.newSession("alone")) {
            expected = session.chat(
                            List.of(
                                    dev.demitasse.chat.Message.system("Be brief."),
                                    dev.demitasse.chat.Message.user("How many cups?"),
                                    dev.demitasse.chat.Message.assistant("", "I must count.", List.of(call)),
                                    dev.demitasse.chat.Message.tool(call, "3")),
                            GREEDY.withTools(List.of(told)),
                            text -> {})
                    .text();
        }
        DemitasseChatOptions options =
                DemitasseChatOptions.builder().toolCallbacks(tool()).build();
        ChatResponse answer = chat().call(new Prompt(messages, options));
        assertThat(text(answer)).isEqualTo(expected);
        assertThat(result(answer).getMetadata().getFinishReason()).isEqualTo("LENGTH");
        assertThat(answer.getMetadata().getUsage().getCompletionTokens()).isEqualTo(12);
        ChatResponse again = chat().call(new Prompt(messages, options));
        assertThat(text(again)).isEqualTo(expected);
        assertThat(again.getMetadata().getUsage().getCacheReadInputTokens()).isPositive();
        DemitasseChatOptions apart = options.mutate().cacheSalt("another").build();
        assertThat(chat().call(new Prompt(messages, apart))
                        .getMetadata()
                        .getUsage()
                        .getCacheReadInputTokens())
                .isZero();
    }

    @Test
    void piecesAreTheWholeAnswer() {
        Prompt prompt = new Prompt("one two three");
        List<ChatResponse> pieces =
                Objects.requireNonNull(chat().stream(prompt).collectList().block());
        StringBuilder all = new StringBuilder();
        pieces.forEach(piece -> all.append(text(piece)));
        assertThat(all.toString()).isEqualTo(text(chat().call(prompt)));
        ChatResponse last = pieces.getLast();
        assertThat(result(last).getMetadata().getFinishReason()).isEqualTo("LENGTH");
        assertThat(last.getMetadata().getUsage().getCompletionTokens()).isEqualTo(12);
    }

    /** Whoever asks for pieces on another thread, some at a time, has them while the answer goes on. */
    @Test
    void piecesComeWhileTheAnswerGoesOn() {
        AtomicInteger heard = new AtomicInteger();
        AtomicInteger before = new AtomicInteger();
        DemitasseChatModel chat = DemitasseChatModel.builder(model)
                .generationOptions(GREEDY.withMaximumTokens(300))
                .build();
        try (Model.Listening listening = model.listen(answer -> before.set(heard.get()))) {
            chat.stream(new Prompt("on and on"))
                    .publishOn(Schedulers.boundedElastic(), 4)
                    .doOnNext(piece -> heard.incrementAndGet())
                    .blockLast();
            assertThat(listening).isNotNull();
        }
        assertThat(heard.get()).isGreaterThan(20);
        assertThat(before.get()).isGreaterThan(heard.get() / 2);
    }

    /** The last piece has the whole thought, for the next prompt; the pieces have it in their metadata. */
    @Test
    void theLastPieceHasTheWholeThought() {
        Generation answer = new Generation(
                List.of(1),
                List.of(4, 5),
                "So.",
                "Let me see.",
                List.of(),
                FinishReason.STOP,
                List.of(),
                0,
                2,
                Duration.ZERO,
                Duration.ZERO);
        assertThat(result(Requests.answer(answer, "m", true)).getOutput().getMetadata())
                .containsEntry("thinking", "Let me see.");
        ChatResponse piece = Requests.thinking("Let ");
        assertThat(result(piece).getOutput().getMetadata()).doesNotContainKey("thinking");
        Object told = result(piece).getMetadata().get("thinking");
        assertThat(told).isEqualTo("Let ");
    }

    @Test
    void aSubscriptionThatEndsEndsTheAnswer() throws InterruptedException {
        List<FinishReason> reasons = new ArrayList<>();
        try (Model.Listening listening = model.listen(answer -> {
            synchronized (reasons) {
                reasons.add(answer.finishReason());
                reasons.notifyAll();
            }
        })) {
            DemitasseChatModel endless = DemitasseChatModel.builder(model)
                    .generationOptions(GREEDY.withMaximumTokens(900))
                    .build();
            assertThat(endless.stream(new Prompt("on")).take(2).collectList().block())
                    .hasSize(2);
            synchronized (reasons) {
                while (reasons.isEmpty()) {
                    reasons.wait(10_000);
                }
            }
            assertThat(listening).isNotNull();
        }
        assertThat(reasons).containsExactly(FinishReason.CANCELLED);
    }

    @Test
    void optionsOfARequestCountBeforeTheModels() {
        DemitasseChatModel model3 = DemitasseChatModel.builder(model)
                .generationOptions(GREEDY)
                .options(DemitasseChatOptions.builder().maxTokens(3).build())
                .build();
        Prompt plain = new Prompt("hi");
        assertThat(tokens(model3.call(plain))).isEqualTo(3);
        assertThat(tokens(model3.call(
                        new Prompt("hi", ChatOptions.builder().maxTokens(5).build()))))
                .isEqualTo(5);
        assertThat(tokens(model3.call(
                        new Prompt("hi", ChatOptions.builder().temperature(0.0).build()))))
                .isEqualTo(3);
    }

    private static int tokens(ChatResponse response) {
        return response.getMetadata().getUsage().getCompletionTokens();
    }

    @Test
    void anAnswerFollowsItsSchema() {
        String schema = """
                {"type": "object", "properties": {"cup": {"enum": ["small"]}}, "required": ["cup"],
                "additionalProperties": false}""";
        DemitasseChatOptions options = DemitasseChatOptions.builder()
                .outputSchema(schema)
                .maxTokens(60)
                .build();
        ChatResponse answer = DemitasseChatModel.builder(model)
                .generationOptions(GenerationOptions.GREEDY)
                .build()
                .call(new Prompt("hi", options));
        assertThat(text(answer).replaceAll("\\s", "")).isEqualTo("{\"cup\":\"small\"}");
        assertThat(result(answer).getMetadata().getFinishReason()).isEqualTo("STOP");
        DemitasseChatOptions odd = options.mutate().outputSchema("{\"not\":{}}").build();
        assertThatThrownBy(() -> chat().call(new Prompt("hi", odd)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("not");
    }

    @Test
    void whatIsNotKnownIsRefused() {
        Media image = new Media(MimeTypeUtils.IMAGE_PNG, new ByteArrayResource(new byte[] {1}));
        Prompt seen = new Prompt(
                UserMessage.builder().text("What is it?").media(image).build());
        assertThatThrownBy(() -> chat().call(seen))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("image/png");
        Prompt named = new Prompt("hi", ChatOptions.builder().model("gpt-4").build());
        assertThatThrownBy(() -> chat().call(named))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("gpt-4");
        assertThatThrownBy(() -> chat().stream(named).collectList().block()).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> chat().call(new Prompt(List.of()))).isInstanceOf(UsageException.class);
    }

    @Test
    void callsOfToolsAndThoughtsAreTold() {
        ToolCall call = new ToolCall("7", "count_cups", "{\"room\":\"hall\"}");
        Generation answer = new Generation(
                List.of(1, 2, 3),
                List.of(4, 5),
                "",
                "Let me see.",
                List.of(call),
                FinishReason.STOP,
                List.of(),
                2,
                2,
                Duration.ofMillis(3),
                Duration.ofMillis(4));
        ChatResponse response = Requests.answer(answer, "m", false);
        assertThat(response.hasToolCalls()).isTrue();
        assertThat(result(response).getOutput().getToolCalls())
                .containsExactly(new AssistantMessage.ToolCall("7", "function", "count_cups", "{\"room\":\"hall\"}"));
        assertThat(result(response).getOutput().getMetadata()).containsEntry("thinking", "Let me see.");
        assertThat(result(response).getMetadata().getFinishReason()).isEqualTo("TOOL_CALLS");
        assertThat(response.getMetadata().getUsage().getTotalTokens()).isEqualTo(5);
        assertThat(response.getMetadata().getUsage().getCacheReadInputTokens()).isEqualTo(2);
        Object whole = response.getMetadata().get("total-duration");
        assertThat(whole).isEqualTo(Duration.ofMillis(7));
    }

    @Test
    void requestsAreObserved() throws InterruptedException {
        BlockingQueue<String> seen = new LinkedBlockingQueue<>();
        ObservationRegistry registry = ObservationRegistry.create();
        registry.observationConfig().observationHandler(new ObservationHandler<ChatModelObservationContext>() {
            @Override
            public void onStop(ChatModelObservationContext context) {
                boolean answered = context.getResponse() != null;
                seen.add(context.getOperationMetadata().provider() + " " + answered + " " + context.getError());
            }

            @Override
            public boolean supportsContext(Observation.Context context) {
                return context instanceof ChatModelObservationContext;
            }
        });
        DemitasseChatModel chat = DemitasseChatModel.builder(model)
                .generationOptions(GREEDY)
                .observationRegistry(registry)
                .build();
        chat.call(new Prompt("hi"));
        assertThat(seen.poll(10, TimeUnit.SECONDS)).isEqualTo("demitasse true null");
        chat.stream(new Prompt("hi")).blockLast();
        assertThat(seen.poll(10, TimeUnit.SECONDS)).isEqualTo("demitasse true null");
    }

    @Test
    void embeddingsAreObserved() {
        List<String> seen = new ArrayList<>();
        ObservationRegistry registry = ObservationRegistry.create();
        registry.observationConfig().observationHandler(new ObservationHandler<EmbeddingModelObservationContext>() {
            @Override
            public void onStop(EmbeddingModelObservationContext context) {
                int vectors = Objects.requireNonNull(context.getResponse())
                        .getResults()
                        .size();
                seen.add(context.getContextualName() + " " + vectors);
            }

            @Override
            public boolean supportsContext(Observation.Context context) {
                return context instanceof EmbeddingModelObservationContext;
            }
        });
        try (EmbeddingModel encoder =
                EmbeddingModel.load(Golden.embedding("bert-mean"), EmbeddingOptions.DEFAULT.withBackend("reference"))) {
            new DemitasseEmbeddingModel(encoder, registry, null).embed(List.of("a text", "another"));
        }
        assertThat(seen).containsExactly("embedding bert 2");
    }
}
