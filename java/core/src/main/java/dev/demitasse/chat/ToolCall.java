package dev.demitasse.chat;

import dev.demitasse.json.Json;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A call of a tool that a model asks for. The model may have made up its name and arguments: check both.
 *
 * @param id what a result names ({@link Message#tool})
 * @param name of the tool
 * @param arguments a JSON object
 */
public record ToolCall(String id, String name, String arguments) {
    /**
     * Checks that all are there.
     *
     * @throws dev.demitasse.exception.UsageException where the arguments are no JSON object
     */
    public ToolCall {
        Objects.requireNonNull(id, "id");
        Objects.requireNonNull(name, "name");
        Json.object(arguments, "The arguments of the call of \"" + name + "\"");
    }

    /** {@return the arguments as maps, lists, strings, numbers, booleans and nulls} */
    public Map<String, @Nullable Object> values() {
        return Json.object(arguments, "The arguments of the call of \"" + name + "\"");
    }
}
