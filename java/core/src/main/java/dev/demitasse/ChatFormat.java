package dev.demitasse;

import dev.demitasse.chat.ChatTemplate;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.tokenizer.Tokenizer;
import dev.demitasse.tokenizer.Vocabulary;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Writes conversations as tokens by the model's chat template. Special tokens that a person typed stay text: a mark is put
 * into them before rendering and taken out before merging.
 */
final class ChatFormat {
    /** Code points that are reserved for internal use and stand in no text (Unicode, noncharacters). */
    private static final char MARK = '\uFDD0';

    private final ChatTemplate template;
    private final Tokenizer tokenizer;
    private final List<String> controls = new ArrayList<>();

    private ChatFormat(ChatTemplate template, Tokenizer tokenizer) {
        this.template = template;
        this.tokenizer = tokenizer;
        Vocabulary vocabulary = tokenizer.vocabulary();
        for (int id = 0; id < vocabulary.size(); id++) {
            if (vocabulary.isControl(id) && vocabulary.token(id).length() > 1) {
                controls.add(vocabulary.token(id));
            }
        }
    }

    /** The format of a model, or null where its file has no template. */
    static @Nullable ChatFormat of(Metadata metadata, Tokenizer tokenizer) {
        String source = metadata.string("tokenizer.chat_template", null);
        return source == null ? null : new ChatFormat(ChatTemplate.parse(source), tokenizer);
    }

    /** The tokens of a conversation, with the beginning of the model's next answer. */
    int[] encode(List<Message> messages) {
        List<Map<String, String>> list = new ArrayList<>();
        for (Message message : messages) {
            Map<String, String> entry = new LinkedHashMap<>();
            entry.put("role", message.role());
            entry.put("content", message.role().equals("assistant") ? message.content() : mark(message.content()));
            list.add(entry);
        }
        Map<String, @Nullable Object> context = new LinkedHashMap<>();
        context.put("messages", list);
        context.put("add_generation_prompt", true);
        context.put("bos_token", spelling(tokenizer.vocabulary().bos()));
        context.put("eos_token", spelling(tokenizer.vocabulary().eos()));
        context.put("tools", null);
        return tokenizer.encodePrompt(template.render(context), true, MARK);
    }

    private String spelling(int id) {
        return id == Vocabulary.NONE ? "" : tokenizer.vocabulary().token(id);
    }

    private String mark(String content) {
        String text = content.indexOf(MARK) < 0 ? content : content.replace(String.valueOf(MARK), "\uFFFD");
        for (String control : controls) {
            if (text.contains(control)) {
                text = text.replace(control, control.charAt(0) + String.valueOf(MARK) + control.substring(1));
            }
        }
        return text;
    }
}
