package dev.demitasse.dialect;

import dev.demitasse.chat.ToolCall;

/**
 * Tells what of an answer is thinking, text or calls of tools, while it comes. What may yet become a mark is held back;
 * control tokens are dropped. What cannot be read as a call is text. Not thread-safe.
 */
public interface AnswerParser {
    /** What a piece of an answer is. */
    enum Kind {
        /** Any text. */
        WRITTEN('w'),
        /** The spelling of a control token. */
        CONTROL('c'),
        /** The spelling of a token that the model's authors added, and that is text to others. */
        ADDED('a');

        private final char code;

        Kind(char code) {
            this.code = code;
        }

        /** One character that stands for it. */
        char code() {
            return code;
        }
    }

    /** Receives what is certain. */
    interface Sink {
        /** A piece of what is for the person. */
        void text(String piece);

        /** A piece of a thought. */
        void thinking(String piece);

        /** What comes next is another part, so that white space around here belongs to none. */
        void partBegins();

        /** A call. */
        void toolCall(ToolCall call);
    }

    /** The next part of the answer. */
    void append(String piece, Kind kind);

    /** The answer has ended. */
    void finish();
}
