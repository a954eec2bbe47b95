package dev.demitasse.langchain4j;

import dev.demitasse.Model;
import dev.demitasse.chat.Message;
import dev.demitasse.chat.ToolCall;
import dev.demitasse.exception.TemplateException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.model.TokenCountEstimator;
import java.util.ArrayList;
import java.util.List;

/**
 * Counts tokens with a model's own tokenizer. Texts and conversations are counted exactly, conversations as the chat
 * template writes them, with the beginning of the next answer; a message alone, and a list that the template refuses,
 * without what the template puts around messages.
 */
public final class DemitasseTokenCountEstimator implements TokenCountEstimator {
    private final Model model;

    /**
     * For a model that stays the caller's.
     *
     * @param model the model whose tokenizer and chat template count
     */
    public DemitasseTokenCountEstimator(Model model) {
        this.model = model;
    }

    @Override
    public int estimateTokenCountInText(String text) {
        return model.tokenizer().encode(text, false).length;
    }

    @Override
    public int estimateTokenCountInMessage(ChatMessage message) {
        Message own = Requests.message(message);
        int count = estimateTokenCountInText(own.content()) + estimateTokenCountInText(own.thinking());
        for (ToolCall call : own.toolCalls()) {
            count += estimateTokenCountInText(call.name()) + estimateTokenCountInText(call.arguments());
        }
        return count;
    }

    @Override
    public int estimateTokenCountInMessages(Iterable<ChatMessage> messages) {
        List<ChatMessage> list = new ArrayList<>();
        messages.forEach(list::add);
        try {
            return list.isEmpty() ? 0 : model.countTokens(Requests.messages(list), List.of());
        } catch (TemplateException | UnsupportedModelException e) {
            // Memories count lists that are no conversation yet, which templates refuse.
            return list.stream().mapToInt(this::estimateTokenCountInMessage).sum();
        }
    }
}
