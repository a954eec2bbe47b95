package dev.demitasse;

import dev.demitasse.chat.ToolCall;
import dev.demitasse.dialect.AnswerParser;
import dev.demitasse.tokenizer.TokenDecoder;
import dev.demitasse.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Makes text, thinking and calls of tools of the tokens of an answer, and tells them to its listener. */
final class AnswerReader implements AnswerParser.Sink {
    private final Tokenizer tokenizer;
    private final TokenDecoder decoder;
    private final StopFilter filter;
    private final AnswerListener listener;
    private final @Nullable AnswerParser parser; // null where there is text alone
    private final StringBuilder text = new StringBuilder();
    private final StringBuilder thinking = new StringBuilder();
    private final List<ToolCall> toolCalls = new ArrayList<>();

    AnswerReader(
            Tokenizer tokenizer,
            List<String> stop,
            AnswerListener listener,
            Function<AnswerParser.Sink, @Nullable AnswerParser> parser) {
        this.tokenizer = tokenizer;
        this.decoder = tokenizer.decoder();
        this.filter = new StopFilter(stop);
        this.listener = listener;
        this.parser = parser.apply(this);
    }

    void append(int token) {
        if (parser == null) {
            text(decoder.append(token));
        } else if (tokenizer.vocabulary().isControl(token)) {
            parser.append(tokenizer.vocabulary().token(token), true);
        } else {
            parser.append(decoder.append(token), false);
        }
    }

    /** No more tokens come. */
    void finish() {
        if (filter.stopped()) {
            return;
        }
        if (parser == null) {
            text(decoder.finish());
        } else {
            parser.append(decoder.finish(), false);
            parser.finish();
        }
        emit(filter.finish());
    }

    /** Whether one of the stop texts came. */
    boolean stopped() {
        return filter.stopped();
    }

    String text() {
        return text.toString();
    }

    String thinking() {
        return thinking.toString();
    }

    List<ToolCall> toolCalls() {
        return List.copyOf(toolCalls);
    }

    @Override
    public void text(String piece) {
        if (!filter.stopped()) {
            emit(filter.append(piece));
        }
    }

    private void emit(String piece) {
        if (!piece.isEmpty()) {
            text.append(piece);
            listener.text(piece);
        }
    }

    @Override
    public void thinking(String piece) {
        if (!filter.stopped()) {
            thinking.append(piece);
            listener.thinking(piece);
        }
    }

    @Override
    public void toolCall(ToolCall call) {
        if (!filter.stopped()) {
            emit(filter.finish());
            toolCalls.add(call);
            listener.toolCall(call);
        }
    }
}
