package dev.demitasse.dialect;

import dev.demitasse.chat.ToolCall;
import dev.demitasse.json.Json;
import java.util.Locale;

/** Numbers the calls of a conversation. */
final class CallCounter {
    private int next;

    /** The next call gets the number {@code first}. */
    CallCounter(int first) {
        next = first;
    }

    /** A call with an id: the model's own where that matters, else one of nine letters and digits (Mistral). */
    ToolCall identified(CallSyntax.Call call) {
        String id = call.id() == null ? String.format(Locale.ROOT, "call%05d", next) : call.id();
        next++;
        return new ToolCall(id, call.name(), Json.write(call.arguments()));
    }
}
