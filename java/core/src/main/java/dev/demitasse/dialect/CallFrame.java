package dev.demitasse.dialect;

/**
 * What a model writes around the name of a tool, and before the arguments.
 *
 * @param before up to the tool's name
 * @param between from there to the JSON object of its arguments
 */
public record CallFrame(String before, String between) {
    /** That of models whose own notation of arguments is not JSON. */
    static final CallFrame JSON = new CallFrame("{\"name\": \"", "\", \"arguments\": ");
}
