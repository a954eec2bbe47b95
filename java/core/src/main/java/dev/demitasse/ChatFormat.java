package dev.demitasse;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.dialect.AnswerParser;
import dev.demitasse.dialect.CallFrame;
import dev.demitasse.dialect.Dialect;
import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.TemplateException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.template.ChatTemplate;
import dev.demitasse.template.JinjaException;
import dev.demitasse.tokenizer.Tokenizer;
import dev.demitasse.tokenizer.Vocabulary;
import java.util.Arrays;
import java.util.HashMap;
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
    private final @Nullable Dialect dialect;
    private final @Nullable DemitasseException fault; // why there is no template
    private final boolean exists;
    private final Tokenizer tokenizer;
    private final TextMarks marks;

    private ChatFormat(@Nullable String source, Tokenizer tokenizer, ModelOptions options) {
        ChatTemplate parsed = null;
        DemitasseException failure = null;
        try {
            parsed = parse(source, options.chatTemplate() != null);
        } catch (DemitasseException e) {
            failure = e;
        }
        Vocabulary vocabulary = tokenizer.vocabulary();
        Map<String, Object> variables = new HashMap<>(options.templateVariables());
        variables.put("bos_token", spelling(vocabulary, vocabulary.bos()));
        variables.put("eos_token", spelling(vocabulary, vocabulary.eos()));
        this.dialect = parsed == null || source == null
                ? null
                : new Dialect(parsed, source, variables, token -> kind(vocabulary, vocabulary.id(token)));
        this.fault = failure;
        this.exists = source != null;
        this.tokenizer = tokenizer;
        marks = new TextMarks(vocabulary);
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

    /** Whether the model can be told of tools. */
    boolean knowsTools() {
        return dialect != null && dialect.knowsTools();
    }

    /**
     * A conversation, with the beginning of the model's next answer.
     *
     * @param text as the template has it
     * @param tokens of it
     */
    record Prompt(String text, int[] tokens) {}

    /** Writes a conversation, whose answer may begin with a thought. */
    Prompt encode(List<Message> messages, List<Tool> tools) {
        return encode(messages, tools, Dialect.Start.FREE);
    }

    /** Writes a conversation whose answer is of some options. */
    Prompt encode(List<Message> messages, GenerationOptions options) {
        Dialect.Start start = options.grammar() != null
                ? Dialect.Start.TEXT
                : options.requiresCall() ? Dialect.Start.CALL : Dialect.Start.FREE;
        return encode(messages, options.tools(), start);
    }

    /**
     * Writes a conversation.
     *
     * @param tools that the model may call
     * @param start how the answer begins
     * @throws UnsupportedModelException where there is no template, or it knows no tools
     * @throws TemplateException where it is faulty, or raises an error
     */
    private Prompt encode(List<Message> messages, List<Tool> tools, Dialect.Start start) {
        Dialect known = dialect();
        if (!tools.isEmpty() && !known.knowsTools()) {
            throw new UnsupportedModelException("The model's chat template does not tell the model of tools, or has"
                    + " their calls written in a way that is not known. Ask without tools, or give another template.");
        }
        try {
            return prompt(known.render(messages, tools, start, marks));
        } catch (JinjaException e) {
            throw new TemplateException(e.getMessage(), e);
        }
    }

    private Prompt prompt(String text) {
        return new Prompt(text, tokenizer.encodePrompt(text, true, TextMarks.MARK));
    }

    /** How a call of a tool is begun behind a prompt, with the id that it gets. */
    CallFrame callFrame(Prompt prompt, String id) {
        return dialect().callFrame(prompt.text, id);
    }

    /** A prompt with something behind it that the model would have written. */
    Prompt further(Prompt prompt, String text) {
        return prompt(prompt.text + text);
    }

    /** The first token of a text, where it has some that a model's text has not; else {@link Vocabulary#NONE}. */
    int firstMark(String text) {
        int[] tokens = tokenizer.encode(text, true);
        boolean written =
                Arrays.stream(tokens).allMatch(id -> kind(tokenizer.vocabulary(), id) == AnswerParser.Kind.WRITTEN);
        return written ? Vocabulary.NONE : tokens[0];
    }

    /** Tells the parts of an answer to a prompt apart; null where there is text alone. */
    @Nullable
    AnswerParser parser(Prompt prompt, List<Message> messages, List<Tool> tools, AnswerParser.Sink sink) {
        int calls = messages.stream()
                .mapToInt(message -> message.toolCalls().size())
                .sum();
        Dialect known = dialect();
        return known.hasParts(tools) ? known.parser(prompt.text, tools, calls, sink) : null;
    }

    private Dialect dialect() {
        if (dialect == null) {
            throw fault instanceof TemplateException e
                    ? new TemplateException(String.valueOf(e.getMessage()), e)
                    : new UnsupportedModelException(fault == null ? "" : String.valueOf(fault.getMessage()));
        }
        return dialect;
    }

    /** What an answer's token is. */
    static AnswerParser.Kind kind(Vocabulary vocabulary, int id) {
        if (id == Vocabulary.NONE) {
            return AnswerParser.Kind.WRITTEN;
        }
        return vocabulary.isControl(id)
                ? AnswerParser.Kind.CONTROL
                : vocabulary.isUserDefined(id) ? AnswerParser.Kind.ADDED : AnswerParser.Kind.WRITTEN;
    }

    private static String spelling(Vocabulary vocabulary, int id) {
        return id == Vocabulary.NONE ? "" : vocabulary.token(id);
    }
}
