package dev.demitasse.langchain4j;

import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Grammar;
import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.json.Json;
import dev.demitasse.sampling.SamplingOptions;
import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.Content;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.TextContent;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** What LangChain4j asks for in Demitasse's words, and answers the other way. What is not known is refused by name. */
final class Requests {
    private static final String NO_PARAMETERS = "{\"type\":\"object\",\"properties\":{}}";

    private Requests() {}

    static List<Message> messages(List<ChatMessage> messages) {
        return messages.stream().map(Requests::message).toList();
    }

    static Message message(ChatMessage message) {
        return switch (message) {
            case SystemMessage system -> Message.system(system.text());
            case UserMessage user -> Message.user(text(user.contents()));
            case AiMessage answer ->
                Message.assistant(orEmpty(answer.text()), orEmpty(answer.thinking()), calls(answer));
            case ToolExecutionResultMessage result ->
                new Message("tool", text(result.contents()), "", List.of(), result.id(), result.toolName());
            default -> throw new UnsupportedFeatureException("Messages of type " + message.type() + " are not known.");
        };
    }

    private static String text(List<Content> contents) {
        return contents.stream()
                .map(content -> {
                    if (content instanceof TextContent text) {
                        return text.text();
                    }
                    throw new UnsupportedFeatureException("A message has a content of the type "
                            + content.type().name().toLowerCase(Locale.ROOT)
                            + ", which is not supported: models read text alone here.");
                })
                .collect(Collectors.joining("\n"));
    }

    private static List<ToolCall> calls(AiMessage answer) {
        List<ToolCall> calls = new ArrayList<>();
        for (ToolExecutionRequest request : answer.toolExecutionRequests()) {
            String arguments = orEmpty(request.arguments());
            calls.add(new ToolCall(orEmpty(request.id()), request.name(), arguments.isBlank() ? "{}" : arguments));
        }
        return calls;
    }

    private static String orEmpty(@Nullable String text) {
        return text == null ? "" : text;
    }

    /** What a request, with the model's own parameters where it has none, makes of {@code base}. */
    static GenerationOptions options(ChatRequest request, GenerationOptions base) {
        requireNoModelName(request.modelName());
        SamplingOptions s = base.sampling();
        SamplingOptions sampling = new SamplingOptions(
                or(request.temperature(), s.temperature()),
                request.topK() == null ? s.topK() : request.topK(),
                or(request.topP(), s.topP()),
                s.minP(),
                s.repeatPenalty(),
                or(request.frequencyPenalty(), s.frequencyPenalty()),
                or(request.presencePenalty(), s.presencePenalty()),
                s.penaltyWindow(),
                s.seed());
        List<Tool> tools = tools(request);
        Grammar grammar = AnswerFormats.of(request.responseFormat());
        if (grammar != null && !tools.isEmpty()) {
            throw new UnsupportedFeatureException("An answer is either JSON (response format), or may call tools.");
        }
        GenerationOptions options = base.withSampling(sampling)
                .withTools(tools)
                .withToolChoice(
                        request.toolChoice() == ToolChoice.REQUIRED
                                ? dev.demitasse.chat.ToolChoice.REQUIRED
                                : dev.demitasse.chat.ToolChoice.AUTO);
        options = grammar == null ? options : options.withGrammar(grammar);
        if (request.maxOutputTokens() != null) {
            options = options.withMaximumTokens(request.maxOutputTokens());
        }
        List<String> stop = request.stopSequences();
        return stop == null || stop.isEmpty() ? options : options.withStop(stop.toArray(String[]::new));
    }

    static void requireNoModelName(@Nullable String name) {
        if (name != null) {
            throw new UnsupportedFeatureException(
                    "A modelName is not supported: the model is the one that was loaded.");
        }
    }

    private static float or(@Nullable Double value, float base) {
        return value == null ? base : value.floatValue();
    }

    private static List<Tool> tools(ChatRequest request) {
        List<ToolSpecification> specifications = request.toolSpecifications();
        boolean none = specifications == null || specifications.isEmpty();
        return none || request.toolChoice() == ToolChoice.NONE
                ? List.of()
                : specifications.stream().map(Requests::tool).toList();
    }

    private static Tool tool(ToolSpecification specification) {
        Map<String, @Nullable Object> whole = Json.object(specification.toJson(), "A tool's specification");
        Object parameters = whole.get("parameters");
        return new Tool(
                specification.name(),
                orEmpty(specification.description()),
                parameters == null ? NO_PARAMETERS : Json.write(parameters));
    }

    static ToolExecutionRequest request(ToolCall call) {
        return ToolExecutionRequest.builder()
                .id(call.id())
                .name(call.name())
                .arguments(call.arguments())
                .build();
    }

    /** What is told of an answer; {@code model} is the name that it goes by. */
    static ChatResponse response(Generation answer, String model) {
        AiMessage.Builder message = AiMessage.builder();
        if (!answer.text().isEmpty() || answer.toolCalls().isEmpty()) {
            message.text(answer.text());
        }
        if (!answer.thinking().isEmpty()) {
            message.thinking(answer.thinking());
        }
        message.toolExecutionRequests(
                answer.toolCalls().stream().map(Requests::request).toList());
        return ChatResponse.builder()
                .id(UUID.randomUUID().toString())
                .modelName(model)
                .aiMessage(message.build())
                .tokenUsage(new TokenUsage(
                        answer.promptTokens().size(), answer.tokens().size()))
                .finishReason(reason(answer))
                .build();
    }

    private static FinishReason reason(Generation answer) {
        if (!answer.toolCalls().isEmpty()) {
            return FinishReason.TOOL_EXECUTION;
        }
        return switch (answer.finishReason()) {
            case STOP -> FinishReason.STOP;
            case LENGTH -> FinishReason.LENGTH;
            default -> FinishReason.OTHER;
        };
    }
}
