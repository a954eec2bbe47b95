package dev.demitasse.dialect;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * How a model is told of tools and calls them: found by having its template write a call, and reading that back, so that
 * no model is known by its name.
 *
 * @param format how calls are written
 * @param textArguments whether the template wants arguments as the text of a JSON object
 * @param noContent whether it wants no content, instead of an empty one, beside calls
 */
record ToolUse(ToolFormat format, boolean textArguments, boolean noContent) {
    private static final String QUESTION = "How many cups are there in this room?";
    private static final ToolCall CALL = new ToolCall("call00000", "count_cups", "{\"room\":\"kitchen\"}");
    private static final List<Tool> TOOLS = List.of(new Tool(
            CALL.name(),
            "Counts cups.",
            "{\"type\":\"object\",\"properties\":{\"room\":{\"type\":\"string\",\"description\":\"Which room.\"}},"
                    + "\"required\":[\"room\"]}"));

    /** Renders a conversation; null where the template refuses it. */
    interface Renderer {
        /** Its text, with the beginning of the model's next answer or without. */
        @Nullable
        String render(List<Map<String, @Nullable Object>> messages, List<Tool> tools, boolean prompt);
    }

    /**
     * That of a template; null where it does not tell the model of tools, or in a way that is not known.
     *
     * @param isToken tells the tokens of the model's vocabulary
     */
    static @Nullable ToolUse find(Renderer template, Predicate<String> isToken) {
        List<Map<String, @Nullable Object>> question =
                List.of(TemplateValues.of(Message.user(QUESTION), UnaryOperator.identity(), null));
        String told = template.render(question, TOOLS, true);
        if (told == null || told.equals(template.render(question, List.of(), true))) {
            return null;
        }
        for (boolean textArguments : new boolean[] {false, true}) {
            for (boolean noContent : new boolean[] {false, true}) {
                for (ToolFormat format : ToolFormat.values()) {
                    ToolUse use = new ToolUse(format, textArguments, noContent);
                    if (use.isRecovered(template, question.getFirst())) {
                        return use;
                    }
                }
            }
        }
        for (ToolFormat format : ToolFormat.values()) {
            if (!format.isBare() && (told.contains(format.begin()) || isToken.test(format.begin()))) {
                return new ToolUse(format, false, false);
            }
        }
        return null;
    }

    private boolean isRecovered(Renderer template, Map<String, @Nullable Object> question) {
        Message call = Message.assistant("", "", List.of(CALL));
        String text = template.render(
                List.of(question, TemplateValues.of(call, UnaryOperator.identity(), this)), TOOLS, false);
        if (text == null) {
            return false;
        }
        String answer = text.substring(text.lastIndexOf(QUESTION) + QUESTION.length());
        int begin = answer.indexOf(format.begin());
        if (begin < 0) {
            return false;
        }
        int from = format.isBare() ? begin : begin + format.begin().length();
        int to = format.end() == null ? -1 : answer.indexOf(format.end(), from);
        List<ToolFormat.Call> calls = format.read(answer.substring(from, to < 0 ? answer.length() : to), TOOLS);
        return calls.size() == 1
                && calls.getFirst().name().equals(CALL.name())
                && calls.getFirst().arguments().equals(new LinkedHashMap<>(CALL.values()));
    }
}
