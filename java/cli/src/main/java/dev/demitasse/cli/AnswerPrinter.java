package dev.demitasse.cli;

import dev.demitasse.AnswerListener;
import java.util.function.Consumer;

/** Prints an answer as it comes; what the model thinks before it goes elsewhere, or is dimmed. */
final class AnswerPrinter implements AnswerListener {
    private final Consumer<String> text;
    private final Consumer<String> thinking;
    private boolean thinks;

    AnswerPrinter(Consumer<String> text, Consumer<String> thinking) {
        this.text = text;
        this.thinking = thinking;
    }

    @Override
    public void text(String piece) {
        endThought();
        text.accept(piece);
    }

    @Override
    public void thinking(String piece) {
        thinks = true;
        thinking.accept(piece);
    }

    /** The answer has ended. */
    void finish() {
        endThought();
    }

    private void endThought() {
        if (thinks) {
            thinking.accept("\n\n");
            thinks = false;
        }
    }
}
