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

    /**
     * A message that is text alone.
     *
     * @param role {@code system}, {@code user}, {@code assistant} or {@code tool}
     * @param content its text
     */
    public Message(String role, String content) {
        this(role, content, "", List.of(), null, null);
    }

    /**
     * {@return a message that sets the model's behavior}
     *
     * @param content how the model shall behave
     */
    public static Message system(String content) {
        return new Message("system", content);
    }

    /**
     * {@return a message of the person}
     *
     * @param content its text
     */
    public static Message user(String content) {
        return new Message("user", content);
    }

    /**
     * {@return a message of the model}
     *
     * @param content its text
     */
    public static Message assistant(String content) {
        return new Message("assistant", content);
    }

    /**
     * {@return a message of the model with what it thought before, and the calls of tools that it asked for}
     *
     * @param content its text, empty where there are only calls
     * @param thinking what it thought before its answer; empty where it did not
     * @param toolCalls in the order in which the model asked; may be empty
     */
    public static Message assistant(String content, String thinking, List<ToolCall> toolCalls) {
        return new Message("assistant", content, thinking, toolCalls, null, null);
    }

    /**
     * {@return the result of a call}
     *
     * @param call what the model asked for
     * @param result what the tool gave, as text
     */
    public static Message tool(ToolCall call, String result) {
        return new Message("tool", result, "", List.of(), call.id(), call.name());
    }
}
