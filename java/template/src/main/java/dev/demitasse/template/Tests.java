package dev.demitasse.template;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The tests of Jinja2: what stands behind {@code is}. */
final class Tests {
    private Tests() {}

    static boolean apply(String name, @Nullable Object value, List<@Nullable Object> arguments, int line) {
        Budget.tick(value instanceof String ? value : null);
        return switch (name) {
            case "defined" -> !(value instanceof Undefined);
            case "undefined" -> value instanceof Undefined;
            case "none" -> value == null;
            case "string" -> value instanceof String;
            case "boolean" -> value instanceof Boolean;
            case "integer" -> value instanceof Long;
            case "float" -> value instanceof Double;
            case "number" -> value instanceof Long || value instanceof Double || value instanceof Boolean;
            case "mapping" -> value instanceof Map<?, ?>;
            case "sequence" ->
                value instanceof List<?>
                        || value instanceof String
                        || value instanceof Map<?, ?>
                        || value instanceof Undefined;
            case "iterable" ->
                value instanceof List<?>
                        || value instanceof String
                        || value instanceof Map<?, ?>
                        || value instanceof LazyList
                        || value instanceof Undefined;
            case "callable" -> value instanceof Callable;
            case "true" -> Boolean.TRUE.equals(value);
            case "false" -> Boolean.FALSE.equals(value);
            case "odd" -> Math.floorMod(Values.integer(value, "a number"), 2L) == 1;
            case "even" -> Math.floorMod(Values.integer(value, "a number"), 2L) == 0;
            case "divisibleby" -> {
                long divisor = Values.integer(argument(name, arguments), "a divisor");
                if (divisor == 0) {
                    throw new JinjaException("ZeroDivisionError: division by zero");
                }
                yield Values.integer(value, "a number") % divisor == 0;
            }
            case "lower" -> {
                String text = Values.string(value);
                yield text.equals(text.toLowerCase(Locale.ROOT)) && !text.equals(text.toUpperCase(Locale.ROOT));
            }
            case "upper" -> {
                String text = Values.string(value);
                yield text.equals(text.toUpperCase(Locale.ROOT)) && !text.equals(text.toLowerCase(Locale.ROOT));
            }
            case "sameas" -> value == argument(name, arguments);
            case "in" -> Interpreter.compare("in", value, argument(name, arguments));
            case "eq", "equalto", "==" -> Interpreter.compare("==", value, argument(name, arguments));
            case "ne", "!=" -> Interpreter.compare("!=", value, argument(name, arguments));
            case "lt", "lessthan", "<" -> Interpreter.compare("<", value, argument(name, arguments));
            case "le", "<=" -> Interpreter.compare("<=", value, argument(name, arguments));
            case "gt", "greaterthan", ">" -> Interpreter.compare(">", value, argument(name, arguments));
            case "ge", ">=" -> Interpreter.compare(">=", value, argument(name, arguments));
            default ->
                throw new JinjaException("TemplateAssertionError: no test named '" + name + "' (line " + line + ")");
        };
    }

    private static @Nullable Object argument(String name, List<@Nullable Object> arguments) {
        if (arguments.isEmpty()) {
            throw new JinjaException("TypeError: the test '" + name + "' needs an argument");
        }
        return arguments.getFirst();
    }
}
