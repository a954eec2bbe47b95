package dev.demitasse.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.EmbeddingModel;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.chat.Message;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.testkit.Golden;
import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.request.json.JsonAnyOfSchema;
import dev.langchain4j.model.chat.request.json.JsonEnumSchema;
import dev.langchain4j.model.chat.request.json.JsonNullSchema;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonReferenceSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.request.json.JsonSchemaElement;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.PartialThinking;
import dev.langchain4j.model.chat.response.PartialThinkingContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import dev.langchain4j.model.embedding.listener.EmbeddingModelListener;
import dev.langchain4j.model.embedding.listener.EmbeddingModelResponseContext;
import dev.langchain4j.model.embedding.request.EmbeddingInput;
import dev.langchain4j.model.embedding.request.EmbeddingInputType;
import dev.langchain4j.model.embedding.request.EmbeddingRequest;
import dev.langchain4j.model.embedding.response.EmbeddingResponse;
import dev.langchain4j.model.output.FinishReason;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class ChatModelsTest {
    private static final GenerationOptions GREEDY =
            GenerationOptions.GREEDY.withMaximumTokens(12).withIgnoreEnd(true);
    private static final ToolSpecification TOOL = ToolSpecification.builder()
            .name("count_cups")
            .description("Counts cups.")
            .parameters(JsonObjectSchema.builder()
                    .addStringProperty("room", "Which room.")
                    .build())
            .build();

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
                        .withContextLength(512)
                        .withChatTemplate(TEMPLATE));
    }

    @AfterAll
    static void close() {
        model.close();
    }

    private static DemitasseChatModel chat() {
        return DemitasseChatModel.builder(model).options(GREEDY).build();
    }

    @Test
    void answersAreThoseOfASession() {
        List<ChatMessage> messages = List.of(
                SystemMessage.from("Be brief."),
                UserMessage.from("hi"),
                AiMessage.from("Yes?"),
                UserMessage.from("go on"));
        DemitasseChatModel chat = chat();
        try (Session session = model.newSession("alone")) {
            session.history(List.of(Message.system("Be brief."), Message.user("hi"), Message.assistant("Yes?")));
            String expected = session.chat("go on", GREEDY, text -> {}).text();
            ChatResponse first = chat.chat(messages);
            assertThat(first.aiMessage().text()).isEqualTo(expected);
            assertThat(first.finishReason()).isEqualTo(FinishReason.LENGTH);
            assertThat(first.tokenUsage().outputTokenCount()).isEqualTo(12);
            assertThat(first.tokenUsage().inputTokenCount())
                    .isEqualTo(new DemitasseTokenCountEstimator(model).estimateTokenCountInMessages(messages));
            assertThat(chat.chat(messages).aiMessage().text())
                    .as("by what is cached")
                    .isEqualTo(expected);
        }
    }

    @Test
    void parametersOfARequestAreUsed() {
        ChatRequest.Builder request = ChatRequest.builder().messages(UserMessage.from("hi"));
        DemitasseChatModel chat = DemitasseChatModel.builder(model)
                .options(GREEDY)
                .defaultRequestParameters(
                        ChatRequestParameters.builder().maxOutputTokens(5).build())
                .build();
        assertThat(chat.chat(request.build()).tokenUsage().outputTokenCount()).isEqualTo(5);
        assertThat(chat.chat(request.maxOutputTokens(3).build()).tokenUsage().outputTokenCount())
                .isEqualTo(3);
        String text = chat.chat(request.maxOutputTokens(12).build()).aiMessage().text();
        String stop = text.substring(text.length() / 2, text.length() / 2 + 1);
        ChatResponse cut = chat.chat(request.stopSequences(List.of(stop)).build());
        assertThat(cut.aiMessage().text()).isEqualTo(text.substring(0, text.indexOf(stop)));
        assertThat(cut.finishReason()).isEqualTo(FinishReason.STOP);
    }

    @Test
    void toolsAndTheirResultsReachTheModel() {
        AiMessage call = AiMessage.from(ToolExecutionRequest.builder()
                .id("call00000")
                .name("count_cups")
                .arguments("{\"room\": \"hall\"}")
                .build());
        ChatRequest request = ChatRequest.builder()
                .messages(
                        UserMessage.from("how many"),
                        call,
                        ToolExecutionResultMessage.from("call00000", "count_cups", "three"))
                .toolSpecifications(TOOL)
                .build();
        List<Message> own = Requests.messages(request.messages());
        assertThat(own.get(1).toolCalls())
                .containsExactly(new ToolCall("call00000", "count_cups", "{\"room\": \"hall\"}"));
        assertThat(own.get(2).toolCallId()).isEqualTo("call00000");
        DemitasseChatModel chat = chat();
        int with = chat.chat(request).tokenUsage().inputTokenCount();
        int without = chat.chat(request.toBuilder().toolChoice(ToolChoice.NONE).build())
                .tokenUsage()
                .inputTokenCount();
        assertThat(with).isGreaterThan(without + 20);
        assertThat(with)
                .isEqualTo(
                        model.countTokens(own, Requests.options(request, GREEDY).tools()));
    }

    private static ResponseFormat format(JsonSchemaElement root) {
        return ResponseFormat.builder()
                .type(ResponseFormatType.JSON)
                .jsonSchema(JsonSchema.builder().name("Cup").rootElement(root).build())
                .build();
    }

    @Test
    void answersInJsonAreOfTheirSchema() {
        JsonObjectSchema cup = JsonObjectSchema.builder()
                .addEnumProperty("size", List.of("SMALL", "LARGE"))
                .addBooleanProperty("full")
                .addProperty(
                        "lids",
                        JsonAnyOfSchema.builder()
                                .anyOf(
                                        new JsonNullSchema(),
                                        JsonEnumSchema.builder()
                                                .enumValues("one", "two")
                                                .build())
                                .build())
                .addProperty(
                        "saucer",
                        JsonReferenceSchema.builder().reference("saucer").build())
                .definitions(Map.of(
                        "saucer",
                        JsonObjectSchema.builder()
                                .addBooleanProperty("round")
                                .required("round")
                                .build()))
                .required("size", "full", "lids", "saucer")
                .build();
        String shape = "\\s*\\{\\s*\"size\":\\s*\"(SMALL|LARGE)\",\\s*\"full\":\\s*(true|false),\\s*\"lids\":\\s*"
                + "(null|\"one\"|\"two\"),\\s*\"saucer\":\\s*\\{\\s*\"round\":\\s*(true|false)\\s*}\\s*}";
        DemitasseChatModel chat = DemitasseChatModel.builder(model)
                .options(GREEDY.withMaximumTokens(300))
                .build();
        assertThat(chat.supportedCapabilities()).contains(Capability.RESPONSE_FORMAT_JSON_SCHEMA);
        ChatRequest request = ChatRequest.builder()
                .messages(UserMessage.from("a cup"))
                .responseFormat(format(cup))
                .build();
        assertThat(chat.chat(request).aiMessage().text()).matches(shape);
        ChatRequest choice = ChatRequest.builder()
                .messages(UserMessage.from("which?"))
                .responseFormat(
                        format(JsonEnumSchema.builder().enumValues("yes", "no").build()))
                .build();
        assertThat(chat.chat(choice).aiMessage().text()).isIn("\"yes\"", "\"no\"");
        ChatRequest object = ChatRequest.builder()
                .messages(UserMessage.from("well?"))
                .responseFormat(ResponseFormat.JSON)
                .build();
        assertThat(chat.chat(object).aiMessage().text()).startsWith("{");
    }

    private static ChatRequest requiringACall() {
        ToolSpecification choice = ToolSpecification.builder()
                .name("count_cups")
                .parameters(JsonObjectSchema.builder()
                        .addEnumProperty("room", List.of("hall", "kitchen"))
                        .required("room")
                        .build())
                .build();
        return ChatRequest.builder()
                .messages(UserMessage.from("hi"))
                .toolSpecifications(choice)
                .toolChoice(ToolChoice.REQUIRED)
                .maxOutputTokens(100)
                .build();
    }

    @Test
    void aCallThatIsRequiredIsMade() {
        ChatResponse answer = chat().chat(requiringACall());
        assertThat(answer.finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
        assertThat(answer.aiMessage().toolExecutionRequests()).hasSize(1);
        assertThat(answer.aiMessage().toolExecutionRequests().getFirst().arguments())
                .containsPattern("\"room\": ?\"(hall|kitchen)\"");
    }

    @Test
    void whatIsNotKnownIsRefusedByName() {
        ChatRequest.Builder request = ChatRequest.builder().messages(UserMessage.from("hi"));
        UserMessage picture =
                UserMessage.from(TextContent.from("what is this"), ImageContent.from("https://example.org/a.png"));
        Map<String, ChatRequest> refused = Map.of(
                "JSON",
                        request.responseFormat(ResponseFormat.JSON)
                                .toolSpecifications(TOOL)
                                .build(),
                "modelName",
                        ChatRequest.builder()
                                .messages(UserMessage.from("hi"))
                                .modelName("other")
                                .build(),
                "image", ChatRequest.builder().messages(picture).build());
        DemitasseChatModel chat = chat();
        refused.forEach((word, each) -> assertThatThrownBy(() -> chat.chat(each))
                .as(word)
                .isInstanceOf(UnsupportedFeatureException.class)
                .hasMessageContaining(word));
        try (Model plain = Model.load(
                Golden.tiny("llama"),
                ModelOptions.DEFAULT
                        .withBackend("reference")
                        .withContextLength(64)
                        .withChatTemplate("{{ messages[0].content }}"))) {
            DemitasseChatModel ofPlain = DemitasseChatModel.builder(plain).build();
            assertThatThrownBy(() -> ofPlain.chat(ChatRequest.builder()
                            .messages(UserMessage.from("hi"))
                            .toolSpecifications(TOOL)
                            .build()))
                    .isInstanceOf(UnsupportedFeatureException.class);
        }
    }

    /** Collects pieces; cancels after some. */
    private static final class Handler implements StreamingChatResponseHandler {
        final StringBuilder text = new StringBuilder();
        final CompletableFuture<ChatResponse> response = new CompletableFuture<>();
        final AtomicInteger pieces = new AtomicInteger();
        final StringBuilder thoughts = new StringBuilder();
        final List<CompleteToolCall> calls = new CopyOnWriteArrayList<>();
        private final int most;
        volatile @Nullable StreamingHandle handle;

        Handler(int most) {
            this.most = most;
        }

        @Override
        public void onPartialResponse(PartialResponse piece, PartialResponseContext context) {
            text.append(piece.text());
            handle = context.streamingHandle();
            if (pieces.incrementAndGet() == most) {
                context.streamingHandle().cancel();
            }
        }

        @Override
        public void onPartialThinking(PartialThinking piece, PartialThinkingContext context) {
            thoughts.append(piece.text());
        }

        @Override
        public void onCompleteToolCall(CompleteToolCall call) {
            calls.add(call);
        }

        @Override
        public void onCompleteResponse(ChatResponse complete) {
            response.complete(complete);
        }

        @Override
        public void onError(Throwable error) {
            response.completeExceptionally(error);
        }
    }

    @Test
    void aStreamHasTheSameTextAndCanBeCancelled() throws Exception {
        ChatRequest request =
                ChatRequest.builder().messages(UserMessage.from("tell")).build();
        DemitasseChatModel chat = chat();
        DemitasseStreamingChatModel streaming =
                DemitasseStreamingChatModel.builder(model).options(GREEDY).build();
        String expected = chat.chat(request).aiMessage().text();
        Handler whole = new Handler(Integer.MAX_VALUE);
        streaming.chat(request, whole);
        assertThat(whole.response.get(60, TimeUnit.SECONDS).aiMessage().text())
                .isEqualTo(expected)
                .isEqualTo(whole.text.toString());
        Handler cut = new Handler(1);
        streaming.chat(request.toBuilder().maxOutputTokens(400).build(), cut);
        Handler next = new Handler(Integer.MAX_VALUE);
        streaming.chat(request, next);
        assertThat(next.response.get(60, TimeUnit.SECONDS).aiMessage().text()).isEqualTo(expected);
        assertThat(cut.pieces.get()).isEqualTo(1);
        assertThat(cut.response).isNotDone();
        Objects.requireNonNull(next.handle)
                .cancel(); // of an answer that has ended: the next one by the same session goes to its end
        Handler later = new Handler(Integer.MAX_VALUE);
        streaming.chat(request, later);
        assertThat(later.response.get(60, TimeUnit.SECONDS).aiMessage().text()).isEqualTo(expected);
        Handler failing = new Handler(Integer.MAX_VALUE);
        streaming.chat(
                ChatRequest.builder()
                        .messages(UserMessage.from("x ".repeat(5000)))
                        .build(),
                failing);
        assertThatThrownBy(() -> failing.response.get(60, TimeUnit.SECONDS)).hasMessageContaining("context");
    }

    @Test
    void aStreamHasCallsAndThoughtsApartFromTheText() throws Exception {
        Handler calling = new Handler(Integer.MAX_VALUE);
        DemitasseStreamingChatModel.builder(model).options(GREEDY).build().chat(requiringACall(), calling);
        AiMessage called = calling.response.get(60, TimeUnit.SECONDS).aiMessage();
        assertThat(called).isEqualTo(chat().chat(requiringACall()).aiMessage());
        assertThat(calling.calls)
                .extracting(CompleteToolCall::toolExecutionRequest)
                .isEqualTo(called.toolExecutionRequests())
                .hasSize(1);
        assertThat(calling.calls.getFirst().index()).isZero();
        try (Model thinking = Model.load(
                Golden.tiny("llama"),
                ModelOptions.DEFAULT
                        .withBackend("reference")
                        .withContextLength(64)
                        .withChatTemplate("{{ messages[0].content }}{% if false %}</think>{% endif %}:<think>"))) {
            Handler handler = new Handler(Integer.MAX_VALUE);
            ChatRequest request =
                    ChatRequest.builder().messages(UserMessage.from("hi")).build();
            DemitasseStreamingChatModel.builder(thinking)
                    .options(GREEDY)
                    .build()
                    .chat(request, handler);
            AiMessage answer = handler.response.get(60, TimeUnit.SECONDS).aiMessage();
            assertThat(answer.thinking()).isNotBlank().isEqualTo(handler.thoughts.toString());
            assertThat(handler.text).isEmpty();
        }
    }

    @Test
    void embeddingsAreThoseOfTheModel() {
        try (EmbeddingModel own = EmbeddingModel.load(Golden.embedding("bert-mean"))) {
            DemitasseEmbeddingModel model = new DemitasseEmbeddingModel(own);
            List<TextSegment> texts = List.of(TextSegment.from("abc"), TextSegment.from("de f"));
            assertThat(model.dimension()).isEqualTo(own.dimension());
            assertThat(model.embedAll(texts).content().get(1).vector())
                    .containsExactly(own.embed(List.of("abc", "de f"))[1]);
            assertThat(model.embed("abc").content().dimension()).isEqualTo(own.dimension());
        }
    }

    /** Queries and documents have before them what the model was trained with; who names no type has nothing. */
    @Test
    void prefixesAreThoseOfTheRequestsType() {
        try (EmbeddingModel own = EmbeddingModel.load(Golden.embedding("bert-mean"))) {
            List<String> told = new ArrayList<>();
            DemitasseEmbeddingModel.Builder builder = DemitasseEmbeddingModel.builder(own)
                    .prefix(EmbeddingInputType.QUERY, "abc ")
                    .prefix(EmbeddingInputType.DOCUMENT, "de ")
                    .listeners(List.of(new EmbeddingModelListener() {
                        @Override
                        public void onResponse(EmbeddingModelResponseContext context) {
                            told.add("response");
                        }
                    }));
            DemitasseEmbeddingModel plain = builder.build();
            EmbeddingRequest query = EmbeddingRequest.builder()
                    .inputs(EmbeddingInput.from("f"))
                    .inputType(EmbeddingInputType.QUERY)
                    .build();
            EmbeddingResponse response = plain.embed(query);
            assertThat(response.embeddings().getFirst().vector()).containsExactly(own.embed("abc f"));
            assertThat(response.metadata().tokenUsage().inputTokenCount())
                    .isEqualTo(own.tokenizer().encodeWhole("abc f", false).length);
            assertThat(plain.embed("f").content().vector()).containsExactly(own.embed("f"));
            DemitasseEmbeddingModel ofDocuments =
                    builder.inputType(EmbeddingInputType.DOCUMENT).build();
            assertThat(ofDocuments.embed("f").content().vector()).containsExactly(own.embed("de f"));
            assertThat(told).hasSize(3);
        }
    }

    /** Memories count lists that templates refuse. */
    @Test
    void listsThatAreNoConversationAreCounted() {
        String strict = "{% if messages[0].role != 'user' %}{{ raise_exception('no user') }}{% endif %}"
                + "{% for m in messages %}{{ m.role }}:{{ m.content }}{% endfor %}";
        try (Model plain = Model.load(
                Golden.tiny("llama"),
                ModelOptions.DEFAULT.withBackend("reference").withChatTemplate(strict))) {
            DemitasseTokenCountEstimator estimator = new DemitasseTokenCountEstimator(plain);
            SystemMessage system = SystemMessage.from("Be brief.");
            assertThat(estimator.estimateTokenCountInMessages(List.of())).isZero();
            assertThat(estimator.estimateTokenCountInMessages(List.of(system)))
                    .isEqualTo(estimator.estimateTokenCountInMessage(system))
                    .isEqualTo(estimator.estimateTokenCountInText("Be brief."));
        }
    }
}
