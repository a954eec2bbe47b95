package dev.demitasse;

import dev.demitasse.chat.Message;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** How much of a conversation, or of a text, the model reads. */
final class ContextWindow {
    /** What a call takes beside its arguments. */
    private static final int CALL_TOKENS = 64;

    private final int length;
    private int dropped; // messages behind those of the system that are not read any more

    /** Of a context of so many positions. */
    ContextWindow(int length) {
        this.length = length;
    }

    /** The conversation is another one. */
    void reset() {
        dropped = 0;
    }

    /** How many messages behind those of the system are not read any more. */
    int dropped() {
        return dropped;
    }

    /** So many are not. */
    void dropped(int count) {
        dropped = count;
    }

    /** Writes a conversation, without its oldest turns where the options say so and it would not fit. */
    ChatFormat.Prompt fit(ChatFormat format, List<Message> messages, GenerationOptions options) {
        ChatFormat.Prompt prompt = format.encode(without(messages, dropped), options);
        if (options.contextPolicy() == ContextPolicy.FAIL) {
            return prompt;
        }
        int room = length - Math.min(options.maximumTokens(), length / 4) - (options.requiresCall() ? CALL_TOKENS : 0);
        if (prompt.tokens().length < room) {
            return prompt;
        }
        while (prompt.tokens().length >= length / 2) {
            int next = nextTurn(messages);
            if (next < 0) {
                return prompt;
            }
            dropped = next;
            prompt = format.encode(without(messages, dropped), options);
        }
        return prompt;
    }

    /** How many messages of a conversation may be dropped. */
    static int droppable(List<Message> messages) {
        return messages.size() - ofSystem(messages);
    }

    private static int ofSystem(List<Message> messages) {
        int count = 0;
        while (count < messages.size() && messages.get(count).role().equals("system")) {
            count++;
        }
        return count;
    }

    private static List<Message> without(List<Message> messages, int dropped) {
        int first = ofSystem(messages);
        List<Message> kept = new ArrayList<>(messages.subList(0, first));
        kept.addAll(messages.subList(first + dropped, messages.size()));
        return kept;
    }

    /** How many messages are to be left out so that one more question is; -1 where that is the last. */
    private int nextTurn(List<Message> messages) {
        int first = ofSystem(messages);
        for (int i = first + dropped + 1; i < messages.size(); i++) {
            if (messages.get(i).role().equals("user")) {
                return i - first;
            }
        }
        return -1;
    }

    /** A text that fits, with room for more: its beginning, and what fits into half of the context from its end. */
    int[] slide(int[] tokens) {
        int begin = length / 8;
        int end = length / 2;
        if (tokens.length <= begin + end) {
            return tokens;
        }
        int[] kept = Arrays.copyOf(tokens, begin + end);
        System.arraycopy(tokens, tokens.length - end, kept, begin, end);
        return kept;
    }
}
