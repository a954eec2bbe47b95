package dev.demitasse.dialect;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.template.ChatTemplate;
import dev.demitasse.template.JinjaException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** How conversations are told to a model by its chat template, and what its answers mean. Thread-safe. */
public final class Dialect {
    private final ChatTemplate template;
    private final Map<String, Object> variables;
    private final Function<String, AnswerParser.Kind> kinds;
    private final @Nullable ThinkingFormat thinking;
    private @Nullable ToolUse use;
    private boolean sought; // whether how tools are used was looked for

    /**
     * The dialect of a template.
     *
     * @param source the template's text
     * @param variables what it finds beside messages and tools
     * @param kinds tells the tokens of the model's vocabulary that are meant for something; all else is written
     */
    public Dialect(
            ChatTemplate template,
            String source,
            Map<String, Object> variables,
            Function<String, AnswerParser.Kind> kinds) {
        this.template = template;
        this.variables = Map.copyOf(variables);
        this.kinds = kinds;
        this.thinking = ThinkingFormat.of(source);
    }

    /** What is done to texts before they are rendered. */
    public interface Marks {
        /** To one that others have written. */
        String of(String text);

        /** To one of the model's own. */
        String ofModel(String text);
    }

    /** Whether the model can be told of tools, and its calls be read. */
    public boolean knowsTools() {
        return use() != null;
    }

    private synchronized @Nullable ToolUse use() {
        if (!sought) {
            use = ToolUse.find(this::probe, token -> kinds.apply(token) != AnswerParser.Kind.WRITTEN);
            sought = true;
        }
        return use;
    }

    private @Nullable String probe(List<Map<String, @Nullable Object>> messages, List<Tool> tools, boolean prompt) {
        try {
            List<Map<String, @Nullable Object>> list = new ArrayList<>();
            tools.forEach(tool -> list.add(TemplateValues.of(tool, UnaryOperator.identity())));
            return render(messages, list, prompt, false);
        } catch (JinjaException e) {
            return null; // what the template refuses is not how tools are used with it
        }
    }

    /**
     * A conversation as the model reads it, with the beginning of its next answer.
     *
     * @param tools that it may call; {@link #knowsTools} where there are some
     * @param start how it is to answer
     * @throws JinjaException where the template raises an error, or has one
     */
    public String render(List<Message> messages, List<Tool> tools, Start start, Marks marks) {
        boolean called =
                messages.stream().anyMatch(message -> !message.toolCalls().isEmpty());
        ToolUse user = called ? use() : null;
        List<Map<String, @Nullable Object>> list = new ArrayList<>();
        for (Message message : user == null ? messages : user.accepted(messages)) {
            boolean ofModel = message.role().equals("assistant"); // whose marks templates look for
            list.add(TemplateValues.of(message, ofModel ? marks::ofModel : marks::of, user));
        }
        List<Map<String, @Nullable Object>> functions = new ArrayList<>();
        tools.forEach(tool -> functions.add(TemplateValues.of(tool, marks::of)));
        String prompt = render(list, functions, true, start != Start.FREE);
        ThinkingFormat known = start == Start.FREE ? null : thinking;
        boolean recipient = start == Start.CALL && known == ThinkingFormat.HARMONY; // who has a channel of its own
        return known == null || recipient ? prompt : prompt + known.without(prompt);
    }

    /** How an answer begins. */
    public enum Start {
        /** As the model likes. */
        FREE,
        /** With text, without thinking first. */
        TEXT,
        /** With a call of a tool ({@link #callFrame}), without thinking first. */
        CALL
    }

    /**
     * How a call of a tool is begun behind a prompt.
     *
     * @param prompt as it was rendered for a {@link Start#CALL}
     * @param id that the call gets
     */
    public CallFrame callFrame(String prompt, String id) {
        ToolUse known = Objects.requireNonNull(use(), "tools");
        CallFrame frame = known.frame().with(ToolUse.CALL_ID, id);
        String begin = known.format().begin();
        boolean begun =
                frame.before().startsWith(begin) && prompt.stripTrailing().endsWith(begin);
        if (begun) {
            return new CallFrame("", frame.before().substring(begin.length()), frame.between());
        }
        boolean thought = thinking != null
                && (frame.lead().contains(thinking.begin().strip())
                        || frame.lead().contains(thinking.end().strip())); // which the prompt has ended already
        return thought ? frame : new CallFrame("", frame.lead() + frame.before(), frame.between());
    }

    private String render(
            List<Map<String, @Nullable Object>> messages,
            List<Map<String, @Nullable Object>> tools,
            boolean prompt,
            boolean direct) {
        Map<String, @Nullable Object> context = new LinkedHashMap<>(variables);
        context.put("messages", messages);
        context.put("add_generation_prompt", prompt);
        context.put("tools", tools.isEmpty() ? null : tools);
        if (direct) {
            context.putIfAbsent("enable_thinking", false); // Qwen's name for it, and of many others
        }
        if (!tools.isEmpty()) {
            context.putIfAbsent("xml_tools", tools); // SmolLM3's name for them
        }
        return template.render(context);
    }

    /** Whether answers may have other parts than text. */
    public boolean hasParts(List<Tool> tools) {
        return thinking != null || !tools.isEmpty();
    }

    /**
     * A parser of the answer to a prompt.
     *
     * @param prompt as it was rendered
     * @param tools that the model may call
     * @param calls how many the conversation has already
     * @param sink receives the answer's parts
     */
    public AnswerParser parser(String prompt, List<Tool> tools, int calls, AnswerParser.Sink sink) {
        ToolFormat format =
                tools.isEmpty() ? null : Objects.requireNonNull(use(), "tools").format();
        CallCounter counter = new CallCounter(calls);
        return thinking == ThinkingFormat.HARMONY
                ? new HarmonyParser(format != null, counter, sink)
                : new MarkedParser(thinking, format, tools, prompt, counter, sink, kinds);
    }
}
