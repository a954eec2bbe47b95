package dev.demitasse;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.ToolCall;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Messages as plain values of JSON, all that they have. */
final class MessageJson {
    private MessageJson() {}

    static List<Map<String, @Nullable Object>> write(List<Message> messages) {
        return messages.stream().map(MessageJson::write).toList();
    }

    private static Map<String, @Nullable Object> write(Message message) {
        Map<String, @Nullable Object> object = new LinkedHashMap<>();
        object.put("role", message.role());
        object.put("content", message.content());
        object.put("thinking", message.thinking());
        object.put(
                "toolCalls",
                message.toolCalls().stream()
                        .map(call -> Map.of("id", call.id(), "name", call.name(), "arguments", call.arguments()))
                        .toList());
        object.put("toolCallId", message.toolCallId());
        object.put("toolName", message.toolName());
        return object;
    }

    /**
     * The messages that were written.
     *
     * @throws ClassCastException where it is something else
     * @throws NullPointerException where something is missing
     * @throws dev.demitasse.exception.UsageException where a call's arguments are no object
     */
    static List<Message> read(@Nullable Object list) {
        return ((List<?>) present(list)).stream().map(MessageJson::message).toList();
    }

    private static Message message(Object value) {
        Map<?, ?> object = (Map<?, ?>) value;
        List<?> calls = (List<?>) present(object.get("toolCalls"));
        return new Message(
                text(object, "role"),
                text(object, "content"),
                text(object, "thinking"),
                calls.stream().map(MessageJson::call).toList(),
                (String) object.get("toolCallId"),
                (String) object.get("toolName"));
    }

    private static ToolCall call(Object value) {
        Map<?, ?> object = (Map<?, ?>) value;
        return new ToolCall(text(object, "id"), text(object, "name"), text(object, "arguments"));
    }

    private static String text(Map<?, ?> object, String key) {
        return (String) present(object.get(key));
    }

    private static Object present(@Nullable Object value) {
        if (value == null) {
            throw new NullPointerException("a part of a message is missing");
        }
        return value;
    }
}
