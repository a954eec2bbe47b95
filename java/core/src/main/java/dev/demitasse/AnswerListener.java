package dev.demitasse;

import dev.demitasse.chat.ToolCall;

/** Receives an answer while it comes, on the thread that called. */
@FunctionalInterface
public interface AnswerListener {
    /** A piece of the text that is for the person. */
    void text(String piece);

    /** A piece of what the model thinks before it answers. */
    default void thinking(String piece) {}

    /** A call of a tool, complete. */
    default void toolCall(ToolCall call) {}
}
