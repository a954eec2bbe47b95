package dev.demitasse.chat;

import dev.demitasse.exception.UsageException;
import dev.demitasse.json.Json;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A function that a model may ask for.
 *
 * @param name of letters, digits, {@code _}, {@code .} and {@code -}
 * @param description what it does and when it is of use, for the model
 * @param parameters its parameters as a JSON schema of type {@code object}, for example {@code {"type": "object",
 *     "properties": {"city": {"type": "string"}}, "required": ["city"]}}
 */
public record Tool(String name, String description, String parameters) {
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_.-]{1,128}");

    /**
     * Checks the name and the schema's form.
     *
     * @throws UsageException where the name has other characters, or the schema is no JSON object
     */
    public Tool {
        Objects.requireNonNull(description, "description");
        if (!NAME.matcher(name).matches()) {
            throw new UsageException("\"" + name + "\" is no name of a tool: it has 1 to 128 letters, digits, "
                    + "underscores, dots and hyphens.");
        }
        Json.object(parameters, "The parameters of the tool \"" + name + "\"");
    }

    /** {@return the schema as maps, lists, strings, numbers, booleans and nulls} */
    public Map<String, @Nullable Object> schema() {
        return Json.object(parameters, "The parameters of the tool \"" + name + "\"");
    }
}
