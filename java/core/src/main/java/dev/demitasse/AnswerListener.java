package dev.demitasse;

import dev.demitasse.chat.ToolCall;

/** Receives an answer while it comes, on the thread that called. */
@FunctionalInterface
public interface AnswerListener {
    /**
     * A piece of the text that is for the person.
     *
     * @param piece what follows the pieces before
     */
    void text(String piece);

    /**
     * A piece of what the model thinks before it answers.
     *
     * @param piece what follows the pieces before
     */
    default void thinking(String piece) {}

    /**
     * A call of a tool, complete.
     *
     * @param call tool and arguments
     */
    default void toolCall(ToolCall call) {}
}
