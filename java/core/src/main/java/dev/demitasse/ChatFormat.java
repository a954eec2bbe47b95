package dev.demitasse;

import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.TemplateException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.template.ChatTemplate;
import dev.demitasse.template.JinjaException;
import dev.demitasse.tokenizer.Tokenizer;
import dev.demitasse.tokenizer.Vocabulary;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Writes conversations as tokens by the model's chat template. Control tokens that stand in a message, whoever wrote
 * it, stay text, and so do user-defined ones that look like them ({@code <|tool_call>}) but in the model's own answers:
 * a mark is put into them before rendering and taken out before merging. A template that does not parse is reported
 * when it is asked for.
 */
final class ChatFormat {
    private final @Nullable ChatTemplate template;
    private final @Nullable DemitasseException fault; // why there is no template
    private final boolean exists;
    private final Tokenizer tokenizer;
    private final Map<String, Object> variables;
    private final TextMarks marks;

    private ChatFormat(@Nullable String source, Tokenizer tokenizer, ModelOptions options) {
        ChatTemplate parsed = null;
        DemitasseException failure = null;
        try {
            parsed = parse(source, options.chatTemplate() != null);
        } catch (DemitasseException e) {
            failure = e;
        }
        this.template = parsed;
        this.fault = failure;
        this.exists = source != null;
        this.tokenizer = tokenizer;
        this.variables = options.templateVariables();
        marks = new TextMarks(tokenizer.vocabulary());
    }

    private static ChatTemplate parse(@Nullable String source, boolean given) {
        String whose = given ? "The chat template that was given" : "The chat template of the model's file";
        if (source == null) {
            throw new UnsupportedModelException(
                    "The model's file has no chat template; it is a base model. Use generate() with a plain prompt.");
        }
        if (source.isBlank()) {
            throw new TemplateException(whose + " is empty. Give another one, or use generate() with a plain prompt.");
        }
        try {
            return ChatTemplate.parse(source);
        } catch (JinjaException e) {
            throw new TemplateException(
                    whose + " cannot be read: " + e.getMessage()
                            + " Give another one, or use generate() with a plain prompt.",
                    e);
        }
    }

    /** The format of a model: its file's template, or the one of the options. */
    static ChatFormat of(Metadata metadata, Tokenizer tokenizer, ModelOptions options) {
        String given = options.chatTemplate();
        return new ChatFormat(
                given != null ? given : metadata.string("tokenizer.chat_template", null), tokenizer, options);
    }

    /** Whether there is a template, sound or not. */
    boolean exists() {
        return exists;
    }

    /**
     * The tokens of a conversation, with the beginning of the model's next answer.
     *
     * @throws UnsupportedModelException where there is no template
     * @throws TemplateException where it is faulty, or raises an error
     */
    int[] encode(List<Message> messages) {
        if (template == null) {
            throw fault instanceof TemplateException e
                    ? new TemplateException(String.valueOf(e.getMessage()), e)
                    : new UnsupportedModelException(fault == null ? "" : String.valueOf(fault.getMessage()));
        }
        List<Map<String, String>> list = new ArrayList<>();
        for (Message message : messages) {
            Map<String, String> entry = new LinkedHashMap<>();
            boolean ofModel = message.role().equals("assistant"); // whose thoughts templates cut out by such marks
            entry.put("role", marks.of(message.role()));
            entry.put("content", ofModel ? marks.ofModel(message.content()) : marks.of(message.content()));
            list.add(entry);
        }
        Map<String, @Nullable Object> context = new LinkedHashMap<>(variables);
        context.put("messages", list);
        context.put("add_generation_prompt", true);
        context.put("bos_token", spelling(tokenizer.vocabulary().bos()));
        context.put("eos_token", spelling(tokenizer.vocabulary().eos()));
        context.put("tools", null);
        return tokenizer.encodePrompt(render(template, context), true, TextMarks.MARK);
    }

    private static String render(ChatTemplate template, Map<String, @Nullable Object> context) {
        try {
            return template.render(context);
        } catch (JinjaException e) {
            throw new TemplateException(e.getMessage(), e);
        }
    }

    private String spelling(int id) {
        return id == Vocabulary.NONE ? "" : tokenizer.vocabulary().token(id);
    }
}
