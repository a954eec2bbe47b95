package dev.demitasse.chat;

import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One message of a conversation.
 *
 * @param role {@code system}, {@code user}, {@code assistant} or {@code tool}
 * @param content its text; of a tool its result
 * @param thinking what the model thought before its answer; empty where it did not. Most templates leave out what was
 *     thought before the last question
 * @param toolCalls calls of tools that the model asked for
 * @param toolCallId of a tool's result the {@link ToolCall#id} that it answers, else null
 * @param toolName of a tool's result the tool's name, else null
 */
public record Message(
        String role,
        String content,
        String thinking,
        List<ToolCall> toolCalls,
        @Nullable String toolCallId,
        @Nullable String toolName) {
    /** Checks that all are there. */
    public Message {
        Objects.requireNonNull(role, "role");
        Objects.requireNonNull(content, "content");
        Objects.requireNonNull(thinking, "thinking");
        toolCalls = List.copyOf(toolCalls);
    }

    /** A message that is text alone. */
    public Message(String role, String content) {
        this(role, content, "", List.of(), null, null);
    }

    /** A message that sets the model's behavior. */
    public static Message system(String content) {
        return new Message("system", content);
    }

    /** A message of the person. */
    public static Message user(String content) {
        return new Message("user", content);
    }

    /** A message of the model. */
    public static Message assistant(String content) {
        return new Message("assistant", content);
    }

    /** A message of the model with what it thought before, and the calls of tools that it asked for. */
    public static Message assistant(String content, String thinking, List<ToolCall> toolCalls) {
        return new Message("assistant", content, thinking, toolCalls, null, null);
    }

    /** The result of a call. */
    public static Message tool(ToolCall call, String result) {
        return new Message("tool", result, "", List.of(), call.id(), call.name());
    }
}
