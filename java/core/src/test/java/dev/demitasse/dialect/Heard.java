package dev.demitasse.dialect;

import dev.demitasse.chat.ToolCall;
import java.util.ArrayList;
import java.util.List;

/** What a parser told. */
final class Heard implements AnswerParser.Sink {
    final StringBuilder text = new StringBuilder();
    final StringBuilder thinking = new StringBuilder();
    final List<ToolCall> calls = new ArrayList<>();

    /** Has an answer read in pieces of so many characters; control tokens stand in « and », added ones in ‹ and ›. */
    void read(AnswerParser parser, String answer, int length) {
        for (String part : answer.split("(?=[«‹])|(?<=[»›])")) {
            boolean control = part.startsWith("«");
            if (control || part.startsWith("‹")) {
                String token = part.substring(1, part.length() - 1);
                parser.append(token, control ? AnswerParser.Kind.CONTROL : AnswerParser.Kind.ADDED);
                continue;
            }
            for (int i = 0; i < part.length(); i += length) {
                String piece = part.substring(i, Math.min(part.length(), i + length));
                parser.append(piece, AnswerParser.Kind.WRITTEN);
            }
        }
        parser.finish();
    }

    /** All of it on one line, with a bar where a part begins. */
    String summary() {
        StringBuilder line = new StringBuilder();
        line.append(thinking.isEmpty() ? "" : "(" + thinking + ")").append(text);
        calls.forEach(call -> line.append(" ")
                .append(call.id())
                .append(":")
                .append(call.name())
                .append(call.arguments()));
        return line.toString();
    }

    @Override
    public void text(String piece) {
        text.append(piece);
    }

    @Override
    public void thinking(String piece) {
        thinking.append(piece);
    }

    @Override
    public void partBegins() {
        text.append(text.isEmpty() || text.charAt(text.length() - 1) == '|' ? "" : "|");
        thinking.append(thinking.isEmpty() || thinking.charAt(thinking.length() - 1) == '|' ? "" : "|");
    }

    @Override
    public void toolCall(ToolCall call) {
        calls.add(call);
    }
}
