package dev.demitasse;

import dev.demitasse.chat.Message;
import dev.demitasse.chat.Tool;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.dialect.CallFrame;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.tokenizer.Vocabulary;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * An answer that is one call of a tool. What surrounds the tool's name and its arguments goes into the prompt, since
 * marks may be tokens that a model's text has not; so the model chooses a name, and then writes arguments.
 */
final class RequiredCall {
    private final ChatFormat format;
    private final GenerationOptions options;
    private final Writer writer;

    /** Continues a prompt. */
    @FunctionalInterface
    interface Writer {
        /**
         * Continues it.
         *
         * @param next what the model would write behind what is asked for, where that is a token that text has not, and
         *     ends it then; else {@link dev.demitasse.tokenizer.Vocabulary#NONE}
         */
        Generation write(int[] prompt, GenerationOptions options, int next);
    }

    /** A call of one of the options' tools. */
    RequiredCall(ChatFormat format, GenerationOptions options, Writer writer) {
        this.format = format;
        this.options = options;
        this.writer = writer;
    }

    /**
     * Has the model call a tool.
     *
     * @param prompt up to the answer
     * @param conversation whose calls are counted
     */
    Generation run(ChatFormat.Prompt prompt, List<Message> conversation) {
        String id = id(conversation);
        CallFrame frame = format.callFrame(prompt, id);
        List<Tool> tools = options.tools();
        // Of all of them: what cannot be followed is told whatever would be called.
        List<Grammar> arguments = tools.stream().map(Constraints::arguments).toList();
        int called = 0;
        Generation named = null;
        if (tools.size() > 1) {
            int next = format.firstMark(frame.between());
            String behind = next == Vocabulary.NONE ? frame.between() : "";
            List<String> names =
                    tools.stream().map(each -> each.name() + behind).toList();
            named = write(prompt, frame.before(), Grammar.oneOf(names), options.maximumTokens(), next);
            String name = named.text();
            called = names.indexOf(name);
            if (called < 0 || named.finishReason() != FinishReason.STOP) {
                return together(null, named, null);
            }
        }
        Tool tool = tools.get(called);
        Generation written = write(
                prompt,
                frame.before() + tool.name() + frame.between(),
                arguments.get(called),
                options.maximumTokens() - (named == null ? 0 : named.tokens().size()),
                Vocabulary.NONE);
        boolean whole = written.finishReason() == FinishReason.STOP;
        ToolCall call = whole ? new ToolCall(id, tool.name(), written.text()) : null;
        return together(named, written, call);
    }

    private Generation write(ChatFormat.Prompt prompt, String further, Grammar grammar, int maximumTokens, int next) {
        GenerationOptions asked = options.toBuilder()
                .tools(List.of())
                .grammar(grammar)
                .stop(List.of())
                .contextPolicy(ContextPolicy.FAIL) // a call is not cut in its middle
                .maximumTokens(maximumTokens)
                .build();
        return writer.write(format.further(prompt, further).tokens(), asked, next);
    }

    /** Nine letters and digits, as Mistral's templates want them. */
    private static String id(List<Message> conversation) {
        int calls = conversation.stream()
                .mapToInt(message -> message.toolCalls().size())
                .sum();
        return String.format(Locale.ROOT, "call%05d", calls);
    }

    private static Generation together(@Nullable Generation named, Generation written, @Nullable ToolCall call) {
        List<Integer> tokens = new ArrayList<>();
        List<List<Logprobs.Entry>> top = new ArrayList<>();
        Generation first = named == null ? written : named;
        for (Generation each : named == null ? List.of(written) : List.of(named, written)) {
            tokens.addAll(each.tokens());
            top.addAll(each.topLogprobs());
        }
        return new Generation(
                first.promptTokens(),
                List.copyOf(tokens),
                "",
                "",
                call == null ? List.of() : List.of(call),
                written.finishReason(),
                List.copyOf(top),
                first.cachedTokens(),
                named == null ? written.passes() : named.passes() + written.passes(),
                first.promptTime(),
                named == null
                        ? written.decodeTime()
                        : named.decodeTime().plus(written.promptTime()).plus(written.decodeTime()));
    }
}
