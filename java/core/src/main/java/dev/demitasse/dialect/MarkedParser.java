package dev.demitasse.dialect;

import dev.demitasse.chat.Tool;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Reads answers whose parts stand between marks. Where a mark is a token of the vocabulary, only that token is one: its
 * spelling in other tokens is text, such as what the model quotes.
 */
final class MarkedParser implements AnswerParser {
    private enum State {
        BEGIN,
        TEXT,
        THINKING,
        SECTION
    }

    /** How many marks of an end that may stand within arguments are passed over. */
    private static final int MOST_ENDS = 8;

    private final @Nullable ToolFormat calls; // null where no tools were told
    private final List<Tool> tools;
    private final CallCounter counter;
    private final Sink sink;
    private final @Nullable Mark thinkingBegin;
    private final @Nullable Mark thinkingEnd;
    private final @Nullable Mark answerBegin;
    private final @Nullable Mark answerEnd;
    private final @Nullable Mark callsBegin;
    private final @Nullable Mark callsEnd;
    private final MarkedText held = new MarkedText();
    private State state = State.BEGIN;
    private boolean told; // whether this part of text has more than white space
    private boolean answering; // whether the text's own end is a mark
    private boolean opened; // whether the section's begin was in the prompt
    private int ends; // that were passed over in this section
    private int searched; // of the section

    MarkedParser(
            @Nullable ThinkingFormat thinking,
            @Nullable ToolFormat calls,
            List<Tool> tools,
            String prompt,
            CallCounter counter,
            Sink sink,
            Function<String, Kind> kinds) {
        this.calls = calls;
        this.tools = tools;
        this.counter = counter;
        this.sink = sink;
        thinkingBegin = thinking == null ? null : new Mark(thinking.begin(), kinds);
        thinkingEnd = thinking == null ? null : new Mark(thinking.end(), kinds);
        answerBegin = mark(thinking == null ? null : thinking.answerBegin(), kinds);
        answerEnd = mark(thinking == null ? null : thinking.answerEnd(), kinds);
        callsBegin = calls == null || calls.isBare() ? null : new Mark(calls.begin(), kinds);
        callsEnd = mark(calls == null ? null : calls.end(), kinds);
        String end = prompt.stripTrailing();
        if (thinking != null && end.endsWith(thinking.begin().strip())) {
            sink.partBegins();
            state = State.THINKING;
        } else if (callsBegin != null && end.endsWith(callsBegin.text())) {
            beginSection(true);
        }
    }

    private static @Nullable Mark mark(@Nullable String text, Function<String, Kind> kinds) {
        return text == null ? null : new Mark(text, kinds);
    }

    @Override
    public void append(String piece, Kind kind) {
        held.append(piece, kind);
        advance();
    }

    private void advance() {
        boolean further = true;
        while (further) {
            further = switch (state) {
                case BEGIN -> readBegin();
                case TEXT -> readText();
                case THINKING -> readThinking();
                case SECTION -> readSection();
            };
        }
    }

    @Override
    public void finish() {
        while (state == State.SECTION) {
            ToolFormat format = Objects.requireNonNull(calls);
            tellSection(format.read(held.section(held.length()), tools, false), held.length(), 0);
            advance();
        }
        tell(held.length());
    }

    /** A text begins, which may be nothing but calls where those have no mark. */
    private void beginText() {
        sink.partBegins();
        state = State.BEGIN;
        told = false;
    }

    private void beginSection(boolean inPrompt) {
        state = State.SECTION;
        opened = inPrompt;
        ends = 0;
        searched = 0;
    }

    private boolean readBegin() {
        if (calls == null || !calls.isBare()) {
            state = State.TEXT;
            return true;
        }
        int first = held.firstSolid();
        if (first < 0) {
            return false;
        }
        boolean section = held.charAt(first) == calls.begin().charAt(0);
        if (section) {
            held.take(first);
            beginSection(true); // the mark is a part of the section
        } else {
            state = State.TEXT;
        }
        return true;
    }

    private boolean readText() {
        List<Mark> possible = new ArrayList<>();
        addIf(true, callsBegin, possible);
        addIf(thinkingBegin != null && (thinkingBegin.isToken() || !told), thinkingBegin, possible);
        addIf(!told, answerBegin, possible);
        addIf(answering, answerEnd, possible);
        Mark mark = null;
        int at = held.length();
        for (Mark each : possible) {
            int place = each.text().isEmpty() ? -1 : held.find(each, 0);
            boolean alone = each.isToken() || each == callsBegin || each == answerEnd || held.isBlank(place);
            if (place >= 0 && place < at && alone) {
                at = place;
                mark = each;
            }
        }
        if (mark == null) {
            tell(held.certain(possible));
            return false;
        }
        tell(at);
        held.take(mark.text().length());
        if (mark == thinkingBegin) {
            sink.partBegins();
            state = State.THINKING;
        } else if (mark == callsBegin) {
            beginSection(false);
        } else {
            sink.partBegins();
            answering = mark == answerBegin;
        }
        return true;
    }

    private static void addIf(boolean condition, @Nullable Mark mark, List<Mark> marks) {
        if (condition && mark != null) {
            marks.add(mark);
        }
    }

    /** A call by a mark that is a token ends a thought, too: some models leave its end out then. */
    private boolean readThinking() {
        Mark end = Objects.requireNonNull(thinkingEnd);
        Mark call = callsBegin != null && callsBegin.isToken() ? callsBegin : null;
        int at = held.find(end, 0);
        int callAt = call == null ? -1 : held.find(call, 0);
        if (at < 0 && callAt < 0) {
            tell(held.certain(call == null ? List.of(end) : List.of(end, call)));
            return false;
        }
        boolean calling = callAt >= 0 && (at < 0 || callAt < at);
        tell(calling ? callAt : at);
        if (!calling) {
            held.take(end.text().length());
            answering = answerBegin != null && answerBegin.text().isEmpty();
        }
        beginText();
        return true;
    }

    private boolean readSection() {
        ToolFormat format = Objects.requireNonNull(calls);
        String prose = format.prose() == null
                ? null
                : format.prose().substring(format.begin().length());
        if (prose != null && held.startsWith(prose)) {
            held.take(prose.length());
            sink.partBegins();
            state = State.TEXT;
            told = false;
            return true;
        }
        int at = callsEnd == null ? -1 : held.find(callsEnd, searched);
        if (callsEnd == null || at < 0) {
            searched = callsEnd == null
                    ? 0
                    : Math.max(searched, held.length() - callsEnd.text().length());
            return false;
        }
        int length = callsEnd.text().length();
        CallSyntax.Reading reading = format.read(held.section(at), tools, true);
        if (reading.calls().isEmpty() && !callsEnd.isToken() && ++ends < MOST_ENDS) {
            searched = at + length; // it may stand within an argument
            return true;
        }
        tellSection(reading, at, length);
        return true;
    }

    /**
     * Tells the calls of a section and what is behind them, and goes on with text.
     *
     * @param length characters of the section
     * @param end characters of the mark of its end; 0 where the answer has ended, and what is behind calls is read on
     */
    private void tellSection(CallSyntax.Reading reading, int length, int end) {
        state = State.TEXT;
        if (reading.calls().isEmpty()) {
            if (!opened && !held.isBlank(held.length())) {
                told = true;
                sink.text(Objects.requireNonNull(calls).begin());
            }
            tell(length + end);
            return;
        }
        sink.partBegins();
        held.take(reading.end());
        reading.calls().forEach(call -> sink.toolCall(counter.identified(call)));
        beginText();
        if (end > 0) {
            int rest = length - reading.end();
            if (held.isBlank(rest)) {
                held.take(rest);
            } else {
                tell(rest);
            }
            held.take(end);
        }
    }

    /** Tells so many of the characters that are held, but for control tokens. */
    private void tell(int count) {
        String text = held.takeText(count);
        if (!text.isEmpty()) {
            told |= !text.isBlank();
            if (state == State.THINKING) {
                sink.thinking(text);
            } else {
                sink.text(text);
            }
        }
    }
}
