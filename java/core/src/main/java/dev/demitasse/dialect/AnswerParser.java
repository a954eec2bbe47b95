package dev.demitasse.dialect;

import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.json.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Tells what of an answer is thinking, text or calls of tools, while it comes. What may yet become a mark is held back;
 * white space between the parts is dropped, and so are control tokens. A section of calls that cannot be read is text.
 * Not thread-safe.
 */
public final class AnswerParser {
    /** Receives what is certain. */
    public interface Sink {
        /** A piece of what is for the person. */
        void text(String piece);

        /** A piece of a thought. */
        void thinking(String piece);

        /** A call. */
        void toolCall(ToolCall call);
    }

    private enum State {
        BEGIN,
        TEXT,
        THINKING,
        SECTION
    }

    private static final char CONTROL = 'c';
    private static final char WRITTEN = 'w';

    private final @Nullable ThinkingFormat thinking;
    private final @Nullable ToolFormat calls; // null where no tools were told
    private final List<Tool> tools;
    private final Sink sink;
    private final List<String> marks = new ArrayList<>(); // that may come within text
    private final StringBuilder held = new StringBuilder();
    private final StringBuilder kinds = new StringBuilder(); // of each character of these
    private final StringBuilder space = new StringBuilder(); // white space that may be between parts
    private State state = State.BEGIN;
    private boolean partBegins; // whether white space is dropped that comes next
    private int number; // of the next call

    AnswerParser(
            @Nullable ThinkingFormat thinking,
            @Nullable ToolFormat calls,
            List<Tool> tools,
            String prompt,
            int number,
            Sink sink) {
        this.thinking = thinking;
        this.calls = calls;
        this.tools = tools;
        this.sink = sink;
        this.number = number;
        if (thinking != null) {
            marks.add(thinking.begin());
            marks.addAll(thinking.dropped());
        }
        if (calls != null && !calls.isBare()) {
            marks.add(calls.begin());
        }
        String end = prompt.stripTrailing();
        if (thinking != null && end.endsWith(thinking.begin().strip())) {
            begin(State.THINKING);
        } else if (calls != null && !calls.isBare() && end.endsWith(calls.begin())) {
            begin(State.SECTION);
        }
    }

    /**
     * The next part of the answer.
     *
     * @param control whether it is the spelling of a control token
     */
    public void append(String piece, boolean control) {
        held.append(piece);
        kinds.repeat(control ? CONTROL : WRITTEN, piece.length());
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

    /** The answer has ended. */
    public void finish() {
        switch (state) {
            case BEGIN, TEXT -> tell(held.length());
            case THINKING -> {
                tell(held.length());
                space.setLength(0);
            }
            case SECTION -> tellSection(held.length(), 0);
        }
        if (!space.isEmpty() && !partBegins) {
            sink.text(space.toString());
        }
    }

    /** White space before the next part goes with what stands before that; a section may yet turn out to be text. */
    private void begin(State next) {
        state = next;
        if (next != State.SECTION) {
            partBegins = true;
            space.setLength(0);
        }
    }

    /** An answer that is nothing but calls is known by its first character. */
    private boolean readBegin() {
        if (calls == null || !calls.isBare()) {
            state = State.TEXT;
            return true;
        }
        for (int i = 0; i < held.length(); i++) {
            if (kinds.charAt(i) == WRITTEN && !Character.isWhitespace(held.charAt(i))) {
                boolean section = held.charAt(i) == calls.begin().charAt(0);
                state = section ? State.SECTION : State.TEXT;
                return true;
            }
        }
        return false;
    }

    private boolean readText() {
        String mark = null;
        int at = held.length();
        for (String each : marks) {
            int place = held.indexOf(each);
            boolean longer = place == at && mark != null && each.length() > mark.length();
            if (place >= 0 && (place < at || longer)) {
                at = place;
                mark = each;
            }
        }
        int certain = certain(marks);
        if (mark == null || at >= certain) {
            tell(certain);
            return false;
        }
        tell(at);
        take(mark.length());
        if (thinking != null && mark.equals(thinking.begin())) {
            begin(State.THINKING);
        } else if (calls != null && mark.equals(calls.begin())) {
            begin(State.SECTION);
        }
        return true;
    }

    private boolean readThinking() {
        String mark = Objects.requireNonNull(thinking).end();
        int at = held.indexOf(mark);
        if (at < 0) {
            tell(certain(List.of(mark)));
            return false;
        }
        tell(at);
        take(mark.length());
        begin(State.TEXT);
        return true;
    }

    private boolean readSection() {
        ToolFormat format = Objects.requireNonNull(calls);
        String prose = format.prose();
        if (prose != null && (format.begin() + held).startsWith(prose)) {
            take(prose.length() - format.begin().length());
            begin(State.TEXT);
            return true;
        }
        String end = format.end();
        int at = end == null ? -1 : held.indexOf(end);
        if (end == null || at < 0) {
            return false;
        }
        tellSection(at, end.length());
        return true;
    }

    /** Tells the calls of a section that is {@code length} characters and its end, and goes on with text. */
    private void tellSection(int length, int end) {
        ToolFormat format = Objects.requireNonNull(calls);
        List<ToolFormat.Call> read = format.read(held.substring(0, length), tools);
        state = State.TEXT;
        if (read.isEmpty()) {
            if (!format.isBare()) {
                say(format.begin());
            }
            tell(length + end);
            return;
        }
        take(length + end);
        for (ToolFormat.Call call : read) {
            String id = call.id() == null ? String.format(Locale.ROOT, "call%05d", number) : call.id();
            number++;
            sink.toolCall(new ToolCall(id, call.name(), Json.write(call.arguments())));
        }
        begin(State.TEXT);
    }

    /** How many of the characters that are held belong to no mark that may yet become whole. */
    private int certain(List<String> possible) {
        int keep = 0;
        for (String mark : possible) {
            for (int length = Math.min(mark.length() - 1, held.length()); length > keep; length--) {
                if (mark.startsWith(held.substring(held.length() - length))) {
                    keep = length;
                }
            }
        }
        return held.length() - keep;
    }

    /** Tells so many of the characters that are held, but for control tokens. */
    private void tell(int count) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < count; i++) {
            if (kinds.charAt(i) == WRITTEN) {
                text.append(held.charAt(i));
            }
        }
        take(count);
        say(text.toString());
    }

    private void say(String text) {
        String piece = partBegins ? text.stripLeading() : text;
        String solid = piece.stripTrailing();
        if (!solid.isEmpty()) {
            String all = space + solid;
            space.setLength(0);
            partBegins = false;
            if (state == State.THINKING) {
                sink.thinking(all);
            } else {
                sink.text(all);
            }
        }
        space.append(piece, solid.length(), piece.length());
    }

    private void take(int count) {
        held.delete(0, count);
        kinds.delete(0, count);
    }
}
