package dev.demitasse.springai;

import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.content.Media;
import org.springframework.ai.model.tool.StructuredOutputChatOptions;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tool.ToolCallback;
import org.springframework.ai.tool.definition.ToolDefinition;

/** What Spring AI asks for in Demitasse's words, and answers the other way. What is not known is refused by name. */
final class Requests {
    /** Where a message, and its metadata, have what was thought before. */
    static final String THINKING = "thinking";

    private Requests() {}

    static List<Message> messages(List<org.springframework.ai.chat.messages.Message> instructions) {
        List<Message> messages = new ArrayList<>();
        instructions.forEach(message -> add(message, messages));
        return messages;
    }

    private static void add(org.springframework.ai.chat.messages.Message message, List<Message> messages) {
        switch (message) {
            case SystemMessage system -> messages.add(Message.system(orEmpty(system.getText())));
            case UserMessage user -> {
                requireNoMedia(user.getMedia());
                messages.add(Message.user(orEmpty(user.getText())));
            }
            case AssistantMessage answer -> {
                requireNoMedia(answer.getMedia());
                messages.add(Message.assistant(
                        orEmpty(answer.getText()),
                        answer.getMetadata().get(THINKING) instanceof String thinking ? thinking : "",
                        answer.getToolCalls().stream().map(Requests::call).toList()));
            }
            case ToolResponseMessage results ->
                results.getResponses()
                        .forEach(result -> messages.add(new Message(
                                "tool", orEmpty(result.responseData()), "", List.of(), result.id(), result.name())));
            default -> throw new UsageException("Messages of type " + message.getMessageType() + " are not known.");
        }
    }

    private static void requireNoMedia(List<Media> media) {
        if (!media.isEmpty()) {
            throw new UsageException("A message has media of the type "
                    + media.getFirst().getMimeType() + "; models read text alone here.");
        }
    }

    private static ToolCall call(AssistantMessage.ToolCall call) {
        String arguments = orEmpty(call.arguments());
        return new ToolCall(orEmpty(call.id()), call.name(), arguments.isBlank() ? "{}" : arguments);
    }

    private static String orEmpty(@Nullable String text) {
        return text == null ? "" : text;
    }

    /** The options of a request, which has the chat model's own where they are null. */
    record Asked(@Nullable ChatOptions request, DemitasseChatOptions own) {
        /** A value of the request, else of the model, else null. */
        private <T> @Nullable T get(Function<ChatOptions, @Nullable T> value) {
            T asked = request == null ? null : value.apply(request);
            return asked == null ? value.apply(own) : asked;
        }

        private <T> @Nullable T special(Function<DemitasseChatOptions, @Nullable T> value) {
            return get(options -> options instanceof DemitasseChatOptions known ? value.apply(known) : null);
        }

        @Nullable
        String model() {
            return get(ChatOptions::getModel);
        }

        @Nullable
        String outputSchema() {
            return get(options ->
                    options instanceof StructuredOutputChatOptions structured ? structured.getOutputSchema() : null);
        }

        String cacheSalt() {
            return orEmpty(special(DemitasseChatOptions::getCacheSalt));
        }

        List<Tool> tools() {
            List<ToolCallback> callbacks = get(
                    options -> options instanceof ToolCallingChatOptions calling ? calling.getToolCallbacks() : null);
            return callbacks == null
                    ? List.of()
                    : callbacks.stream()
                            .map(callback -> tool(callback.getToolDefinition()))
                            .toList();
        }

        private static Tool tool(ToolDefinition definition) {
            return new Tool(definition.name(), orEmpty(definition.description()), definition.inputSchema());
        }

        /** What an answer is made by, but for its form. */
        GenerationOptions generation(GenerationOptions base) {
            SamplingOptions s = base.sampling();
            Integer topK = get(ChatOptions::getTopK);
            Long seed = special(DemitasseChatOptions::getSeed);
            Integer most = get(ChatOptions::getMaxTokens);
            List<String> stop = get(ChatOptions::getStopSequences);
            SamplingOptions sampling = new SamplingOptions(
                    or(get(ChatOptions::getTemperature), s.temperature()),
                    topK == null ? s.topK() : topK,
                    or(get(ChatOptions::getTopP), s.topP()),
                    or(special(DemitasseChatOptions::getMinP), s.minP()),
                    or(special(DemitasseChatOptions::getRepeatPenalty), s.repeatPenalty()),
                    or(get(ChatOptions::getFrequencyPenalty), s.frequencyPenalty()),
                    or(get(ChatOptions::getPresencePenalty), s.presencePenalty()),
                    s.penaltyWindow(),
                    seed == null ? s.seed() : seed);
            GenerationOptions options = base.withSampling(sampling)
                    .withTools(tools())
                    .withMaximumTokens(most == null ? base.maximumTokens() : most);
            return stop == null ? options : options.withStop(stop.toArray(String[]::new));
        }

        private static float or(@Nullable Double value, float base) {
            return value == null ? base : value.floatValue();
        }
    }

    /** A piece of an answer's text. */
    static ChatResponse text(String piece) {
        return response(AssistantMessage.builder().content(piece).build(), ChatGenerationMetadata.NULL, null);
    }

    /** A piece of what is thought before: in the metadata alone, since of messages' properties the last is kept. */
    static ChatResponse thinking(String piece) {
        return response(
                AssistantMessage.builder().content("").build(),
                ChatGenerationMetadata.builder().metadata(THINKING, piece).build(),
                null);
    }

    /**
     * A whole answer, or what its pieces have not told.
     *
     * @param model the name that it goes by
     */
    static ChatResponse answer(Generation answer, String model, boolean pieces) {
        ChatGenerationMetadata.Builder metadata =
                ChatGenerationMetadata.builder().finishReason(reason(answer));
        AssistantMessage.Builder<?> message = AssistantMessage.builder()
                .content(pieces ? "" : answer.text())
                .toolCalls(answer.toolCalls().stream()
                        .map(call ->
                                new AssistantMessage.ToolCall(call.id(), "function", call.name(), call.arguments()))
                        .toList());
        if (!answer.thinking().isEmpty()) {
            message.properties(Map.of(THINKING, answer.thinking())); // all of it, for the next prompt
            if (!pieces) {
                metadata.metadata(THINKING, answer.thinking());
            }
        }
        return response(message.build(), metadata.build(), metadata(answer, model));
    }

    private static ChatResponse response(
            AssistantMessage message, ChatGenerationMetadata of, @Nullable ChatResponseMetadata metadata) {
        List<org.springframework.ai.chat.model.Generation> generations =
                List.of(new org.springframework.ai.chat.model.Generation(message, of));
        return metadata == null ? new ChatResponse(generations) : new ChatResponse(generations, metadata);
    }

    /** Tokens and times, by the names that Ollama's model of Spring AI has for them. */
    private static ChatResponseMetadata metadata(Generation answer, String model) {
        int prompt = answer.promptTokens().size();
        int generated = answer.tokens().size();
        Duration whole = answer.promptTime().plus(answer.decodeTime());
        return ChatResponseMetadata.builder()
                .id(UUID.randomUUID().toString())
                .model(model)
                .usage(new DefaultUsage(
                        prompt, generated, prompt + generated, null, (long) answer.cachedTokens(), null))
                .keyValue("prompt-eval-count", prompt)
                .keyValue("prompt-eval-duration", answer.promptTime())
                .keyValue("eval-count", generated)
                .keyValue("eval-duration", answer.decodeTime())
                .keyValue("total-duration", whole)
                .build();
    }

    private static String reason(Generation answer) {
        boolean calls = !answer.toolCalls().isEmpty() && answer.finishReason() == FinishReason.STOP;
        return calls ? "TOOL_CALLS" : answer.finishReason().name();
    }
}
