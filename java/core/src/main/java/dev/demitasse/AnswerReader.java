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
    private final PartText text = new PartText();
    private final PartText thinking = new PartText();
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
        } else {
            AnswerParser.Kind kind = ChatFormat.kind(tokenizer.vocabulary(), token);
            boolean control = kind == AnswerParser.Kind.CONTROL;
            parser.append(control ? tokenizer.vocabulary().token(token) : decoder.append(token), kind);
        }
    }

    /** No more tokens come. */
    void finish() {
        if (!filter.stopped() && parser == null) {
            text(decoder.finish());
        } else if (!filter.stopped() && parser != null) {
            parser.append(decoder.finish(), AnswerParser.Kind.WRITTEN);
            parser.finish();
        }
        tell(filter.finish());
        hear(text.finish());
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
            tell(filter.append(piece));
        }
    }

    private void tell(String piece) {
        if (!piece.isEmpty()) {
            hear(text.add(piece));
        }
    }

    private void hear(String piece) {
        if (!piece.isEmpty()) {
            listener.text(piece);
        }
    }

    @Override
    public void thinking(String piece) {
        String certain = filter.stopped() ? "" : thinking.add(piece);
        if (!certain.isEmpty()) {
            listener.thinking(certain);
        }
    }

    @Override
    public void partBegins() {
        tell(filter.finish());
        text.border();
        thinking.border();
    }

    @Override
    public void toolCall(ToolCall call) {
        if (!filter.stopped()) {
            toolCalls.add(call);
            listener.toolCall(call);
        }
    }
}
