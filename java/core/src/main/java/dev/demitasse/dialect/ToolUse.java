package dev.demitasse.dialect;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.json.Json;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * How a model is told of tools and calls them: found by having its template write calls, and reading those back, so
 * that no model is known by its name.
 *
 * @param format how calls are written
 * @param frame what is written around a name and before arguments that are JSON
 * @param textArguments whether the template wants arguments as the text of a JSON object
 * @param noContent whether it wants no content, instead of an empty one, beside calls
 * @param written whether it writes calls itself
 * @param single whether it refuses several calls in a message, or leaves out all but one
 * @param apart whether it refuses a text and a thought beside calls
 */
record ToolUse(
        ToolFormat format,
        CallFrame frame,
        boolean textArguments,
        boolean noContent,
        boolean written,
        boolean single,
        boolean apart) {
    private static final Pattern TOKEN = Pattern.compile("<\\|[^|<>]{1,64}+\\|>");
    private static final String QUESTION = "How many cups are there in this room?";
    private static final List<ToolCall> CALLS = List.of(
            new ToolCall("call00000", "count_cups", "{\"room\":\"kitchen\"}"),
            new ToolCall("call00001", "count_cups", "{\"room\":\"hallway-2\"}"));
    /** The id of the call that a frame is found by. */
    static final String CALL_ID = CALLS.getFirst().id();

    private static final List<Tool> TOOLS = List.of(new Tool(
            "count_cups",
            "Counts cups.",
            "{\"type\":\"object\",\"properties\":{\"room\":{\"type\":\"string\",\"description\":\"Which room.\"}},"
                    + "\"required\":[\"room\"]}"));
    private static final Map<String, @Nullable Object> ASKED =
            TemplateValues.of(Message.user(QUESTION), UnaryOperator.identity(), null);

    /** Renders a conversation; null where the template refuses it. */
    interface Renderer {
        /** Its text, with the beginning of the model's next answer or without. */
        @Nullable
        String render(List<Map<String, @Nullable Object>> messages, List<Tool> tools, boolean prompt);
    }

    /**
     * That of a template; null where it does not tell the model of tools, or in a way that is not known.
     *
     * @param isToken tells the tokens of the model's vocabulary that are meant for something
     */
    static @Nullable ToolUse find(Renderer template, Predicate<String> isToken) {
        String told = template.render(List.of(ASKED), TOOLS, true);
        if (told == null || told.equals(template.render(List.of(ASKED), List.of(), true))) {
            return null;
        }
        for (boolean textArguments : new boolean[] {false, true}) {
            for (boolean noContent : new boolean[] {false, true}) {
                for (ToolFormat format : ToolFormat.values()) {
                    ToolUse use = new ToolUse(format, CallFrame.JSON, textArguments, noContent, true, false, false);
                    if (use.isRecovered(template, isToken)) {
                        return use.withRefusals(template);
                    }
                }
            }
        }
        if (writesCalls(template)) {
            return null; // in a way that is not known: what it tells the model may look like another's
        }
        for (ToolFormat format : ToolFormat.values()) {
            if (!format.isBare() && (told.contains(format.begin()) || isToken.test(format.begin()))) {
                String section = format.writesJson() ? format.write(CALLS.subList(0, 1)) : "";
                return new ToolUse(format, frame(format, "", section), false, false, false, false, false);
            }
        }
        return null;
    }

    /** Whether a template writes what a call says, in any way. */
    private static boolean writesCalls(Renderer template) {
        for (boolean textArguments : new boolean[] {false, true}) {
            ToolUse use = new ToolUse(ToolFormat.TAGGED_JSON, CallFrame.JSON, textArguments, false, true, false, false);
            String text = use.answered(template, "", "", CALLS.subList(0, 1));
            if (text != null && behindQuestion(text).contains("kitchen")) {
                return true;
            }
        }
        return false;
    }

    private @Nullable String answered(Renderer template, String content, String thinking, List<ToolCall> calls) {
        Message answer = Message.assistant(content, thinking, calls);
        return template.render(List.of(ASKED, TemplateValues.of(answer, UnaryOperator.identity(), this)), TOOLS, false);
    }

    private ToolUse withRefusals(Renderer template) {
        String several = answered(template, "", "", CALLS);
        boolean one = several == null || !behindQuestion(several).contains("hallway-2");
        boolean thoughts = answered(template, "", "Let me see.", CALLS.subList(0, 1)) != null;
        boolean refused = answered(template, "I count.", "Let me see.", CALLS.subList(0, 1)) == null;
        Section section = section(template);
        CallFrame frame = section == null ? CallFrame.JSON : frame(format, section.lead, section.text);
        return new ToolUse(format, frame, textArguments, noContent, written, one, thoughts && refused);
    }

    /** What a template wrote behind the question; nothing where it did not write that. */
    private static String behindQuestion(String text) {
        int at = text.lastIndexOf(QUESTION);
        return at < 0 ? "" : text.substring(at + QUESTION.length());
    }

    /**
     * What stands between the marks of a section, or to the end of the text.
     *
     * @param lead what stands before it, from where the model's answer begins
     * @param ended whether the mark of its end follows
     */
    private record Section(String lead, String text, boolean ended) {}

    /** The section that a template writes for one call; null where it writes none. */
    private @Nullable Section section(Renderer template) {
        String text = answered(template, "", "", CALLS.subList(0, 1));
        String answer = text == null ? "" : behindQuestion(text);
        int begin = answer.indexOf(format.begin());
        if (begin < 0) {
            return null;
        }
        int from = format.isBare() ? begin : begin + format.begin().length();
        int to = format.end() == null ? -1 : answer.indexOf(format.end(), from);
        String section = answer.substring(from, to < 0 ? answer.length() : to);
        if (format.isBare()) {
            section = section.substring(0, section.lastIndexOf(format.begin().equals("{") ? '}' : ']') + 1);
        }
        return new Section(lead(template, String.valueOf(text), answer.substring(0, begin)), section, to >= 0);
    }

    /** What a template writes from the beginning of an answer to a call; nothing where that cannot be told. */
    private static String lead(Renderer template, String answered, String before) {
        String prompt = template.render(List.of(ASKED), TOOLS, true);
        String header = prompt == null || !answered.startsWith(prompt) ? null : behindQuestion(prompt);
        return header == null || header.length() > before.length() ? "" : before.substring(header.length());
    }

    /** A text without the vocabulary's tokens that are meant for something, which answers do not show. */
    private static String withoutTokens(String text, Predicate<String> isToken) {
        return TOKEN.matcher(text)
                .replaceAll(token -> isToken.test(token.group()) ? "" : Matcher.quoteReplacement(token.group()));
    }

    private boolean isRecovered(Renderer template, Predicate<String> isToken) {
        Section section = section(template);
        if (section == null
                || format.isBare() && !withoutTokens(section.lead, isToken).isBlank()) {
            return false; // a mark that is not known is none of an answer that is nothing but a call
        }
        ToolCall call = CALLS.getFirst();
        List<CallSyntax.Call> calls =
                format.read(section.text, TOOLS, section.ended).calls();
        return calls.size() == 1
                && calls.getFirst().name().equals(call.name())
                && calls.getFirst().arguments().equals(call.values());
    }

    /** What a template writes around a call's name and before its arguments, where those are an object of JSON. */
    private static CallFrame frame(ToolFormat format, String lead, String text) {
        ToolCall call = CALLS.getFirst();
        for (int at = text.indexOf('{'); at >= 0; at = text.indexOf('{', at + 1)) {
            Json.Read read = Json.at(text, at);
            int name = text.lastIndexOf(call.name(), at);
            if (read != null && call.values().equals(read.value()) && name >= 0) {
                String before = (format.isBare() ? "" : format.begin()) + text.substring(0, name);
                return new CallFrame(
                        lead, before, text.substring(name + call.name().length(), at));
            }
        }
        return CallFrame.JSON;
    }

    /**
     * The messages in a form that the template does not refuse: where it knows one call a message, each with its result
     * behind it; where it knows no text beside a call and a thought, that before it.
     */
    List<Message> accepted(List<Message> messages) {
        List<Message> list = new ArrayList<>();
        Deque<Message> left = new ArrayDeque<>(messages);
        while (!left.isEmpty()) {
            Message message = left.removeFirst();
            List<ToolCall> calls = message.toolCalls();
            if (apart
                    && !calls.isEmpty()
                    && !message.content().isBlank()
                    && !message.thinking().isEmpty()) {
                list.add(Message.assistant(message.content()));
                message = Message.assistant("", message.thinking(), calls);
            }
            if (!single || calls.size() < 2) {
                list.add(message);
                continue;
            }
            for (int i = 0; i < calls.size(); i++) {
                ToolCall call = calls.get(i);
                boolean first = i == 0;
                list.add(Message.assistant(
                        first ? message.content() : "", first ? message.thinking() : "", List.of(call)));
                left.stream()
                        .filter(result -> call.id().equals(result.toolCallId()))
                        .findFirst()
                        .ifPresent(result -> {
                            list.add(result);
                            left.remove(result);
                        });
            }
        }
        return list;
    }
}
