package dev.demitasse.dialect;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** Messages and tools as chat templates expect them (Hugging Face, "Chat templates": {@code apply_chat_template}). */
final class TemplateValues {
    private TemplateValues() {}

    /**
     * A message.
     *
     * @param marks what is done to each text
     * @param use how calls of tools are told; null where none are
     */
    static Map<String, @Nullable Object> of(Message message, UnaryOperator<String> marks, @Nullable ToolUse use) {
        Map<String, @Nullable Object> entry = new LinkedHashMap<>();
        boolean calls = !message.toolCalls().isEmpty();
        boolean thoughtAlone = message.content().isEmpty() && !calls; // as of an answer that was cut off
        String content = marks.apply(thoughtAlone ? message.thinking() : message.content());
        if (calls && use != null && !use.written()) {
            String end = use.format().end();
            content += use.format().begin()
                    + marks.apply(use.format().write(message.toolCalls()))
                    + (end == null ? "" : end);
        }
        entry.put("role", marks.apply(message.role()));
        entry.put("content", calls && use != null && use.noContent() && content.isEmpty() ? null : content);
        if (!message.thinking().isEmpty() && !thoughtAlone) {
            entry.put("reasoning_content", marks.apply(message.thinking()));
            entry.put("thinking", marks.apply(message.thinking()));
        }
        if (calls) {
            List<Object> list = new ArrayList<>();
            for (ToolCall call : message.toolCalls()) {
                Object arguments = use != null && use.textArguments()
                        ? marks.apply(call.arguments())
                        : marked(call.values(), marks);
                Map<String, @Nullable Object> function = new LinkedHashMap<>();
                function.put("name", marks.apply(call.name()));
                function.put("arguments", arguments);
                Map<String, @Nullable Object> item = new LinkedHashMap<>();
                item.put("id", marks.apply(call.id()));
                item.put("type", "function");
                item.put("function", function);
                list.add(item);
            }
            entry.put("tool_calls", list);
        }
        if (message.toolCallId() != null) {
            entry.put("tool_call_id", marks.apply(message.toolCallId()));
        }
        if (message.toolName() != null) {
            entry.put("name", marks.apply(message.toolName()));
        }
        return entry;
    }

    /** A tool. */
    static Map<String, @Nullable Object> of(Tool tool, UnaryOperator<String> marks) {
        Map<String, @Nullable Object> function = new LinkedHashMap<>();
        function.put("name", tool.name());
        function.put("description", marks.apply(tool.description()));
        function.put("parameters", marked(tool.schema(), marks));
        Map<String, @Nullable Object> entry = new LinkedHashMap<>();
        entry.put("type", "function");
        entry.put("function", function);
        return entry;
    }

    private static @Nullable Object marked(@Nullable Object value, UnaryOperator<String> marks) {
        return switch (value) {
            case String text -> marks.apply(text);
            case List<?> list -> {
                List<@Nullable Object> copy = new ArrayList<>();
                list.forEach(item -> copy.add(marked(item, marks)));
                yield copy;
            }
            case Map<?, ?> map -> {
                Map<String, @Nullable Object> copy = new LinkedHashMap<>();
                map.forEach((key, item) -> copy.put(marks.apply(String.valueOf(key)), marked(item, marks)));
                yield copy;
            }
            case null, default -> value;
        };
    }
}
