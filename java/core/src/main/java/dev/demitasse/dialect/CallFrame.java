package dev.demitasse.dialect;

/**
 * What a model writes around the name of a tool, and before the arguments.
 *
 * @param lead before the mark of a call; white space mostly
 * @param before up to the tool's name
 * @param between from there to the JSON object of its arguments
 */
public record CallFrame(String lead, String before, String between) {
    /** The same with another text in the place of one. */
    CallFrame with(String text, String other) {
        return new CallFrame(lead, before.replace(text, other), between.replace(text, other));
    }

    /** That of models whose own notation of arguments is not JSON. */
    static final CallFrame JSON = new CallFrame("", "{\"name\": \"", "\", \"arguments\": ");
}
