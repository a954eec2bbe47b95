package dev.demitasse.dialect;

import dev.demitasse.json.Json;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads the answers of gpt-oss (OpenAI, "Harmony response format", 2025): messages, each with a header that names a
 * channel, and a function where it is a call.
 */
final class HarmonyParser implements AnswerParser {
    private static final Pattern FUNCTION = Pattern.compile("to=functions\\.([\\w.-]{1,128})");
    private static final String THOUGHTS = "<|channel|>analysis";

    private enum State {
        HEADER,
        TEXT,
        THINKING,
        CALL
    }

    private final boolean called; // whether tools were told
    private final CallCounter counter;
    private final Sink sink;
    private final StringBuilder header = new StringBuilder();
    private final StringBuilder arguments = new StringBuilder();
    private String function = "";
    private State state = State.HEADER; // the prompt has its beginning

    HarmonyParser(boolean called, CallCounter counter, Sink sink) {
        this.called = called;
        this.counter = counter;
        this.sink = sink;
    }

    @Override
    public void append(String piece, Kind kind) {
        if (kind != Kind.CONTROL) {
            write(piece);
            return;
        }
        switch (piece) {
            case "<|start|>", "<|end|>", "<|call|>", "<|return|>" -> endMessage(!piece.equals("<|start|>"));
            case "<|channel|>" -> {
                if (state != State.HEADER) {
                    endMessage(false);
                }
                header.append(piece);
            }
            case "<|message|>" -> beginMessage();
            default -> header.append(state == State.HEADER ? " " : "");
        }
    }

    private void write(String piece) {
        switch (state) {
            case HEADER -> header.append(piece);
            case TEXT -> sink.text(piece);
            case THINKING -> sink.thinking(piece);
            case CALL -> arguments.append(piece);
        }
    }

    private void beginMessage() {
        if (state != State.HEADER) {
            return;
        }
        Matcher matcher = FUNCTION.matcher(header);
        if (called && matcher.find()) {
            function = matcher.group(1);
            state = State.CALL;
        } else {
            state = header.indexOf(THOUGHTS) >= 0 ? State.THINKING : State.TEXT;
            sink.partBegins();
        }
        header.setLength(0);
    }

    private void endMessage(boolean whole) {
        if (state == State.CALL) {
            Map<String, @Nullable Object> values = whole ? Json.object(arguments.toString()) : null;
            sink.partBegins();
            if (values == null) {
                sink.text(arguments.toString()); // no call, and not lost
            } else {
                sink.toolCall(counter.identified(new CallSyntax.Call(null, function, values)));
            }
            arguments.setLength(0);
        }
        boolean ofHeader = header.isEmpty() || header.indexOf("<|") >= 0 || header.indexOf(" to=") >= 0;
        if (state == State.HEADER && !ofHeader && !header.toString().strip().equals("assistant")) {
            sink.partBegins();
            sink.text(header.toString()); // the model forgot to begin a message
        }
        header.setLength(0);
        state = State.HEADER;
    }

    @Override
    public void finish() {
        endMessage(true); // a call is known to be whole by its arguments
    }
}
