package dev.demitasse.template;

import java.time.Clock;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A chat template: the program in a model's file that writes a conversation in the form the model was trained on.
 *
 * <p>The language is the part of Jinja2 that such templates use, rendered as Hugging Face's {@code apply_chat_template}
 * does (trim_blocks, lstrip_blocks, loop controls, the immutable sandbox, {@code tojson} without HTML escapes). A
 * template cannot reach Java objects, and its steps, depth and output are limited; values, user text among them, are
 * never evaluated.
 */
public final class ChatTemplate {
    private final List<Statement> statements;

    private ChatTemplate(List<Statement> statements) {
        this.statements = statements;
    }

    /**
     * Parses a template.
     *
     * @param source the template's text, Jinja2
     * @return the template, to be rendered any number of times
     * @throws JinjaException where it is malformed or uses what is not supported, with the line
     */
    public static ChatTemplate parse(String source) {
        try {
            return new ChatTemplate(TemplateParser.parse(source));
        } catch (StackOverflowError e) {
            throw new JinjaException("The chat template nests too deeply.", e);
        }
    }

    /**
     * {@return {@link #render(Map, Clock)} with the system's clock}
     *
     * @param context variables, as there
     * @throws JinjaException as there
     */
    public String render(Map<String, ? extends @Nullable Object> context) {
        return render(context, Clock.system(ZoneId.systemDefault()));
    }

    /**
     * Renders the template.
     *
     * @param context variables: strings, booleans, integers, floating-point numbers, null, and lists and string-keyed
     *     maps of such
     * @param clock what {@code strftime_now} reads
     * @return the text that was written
     * @throws JinjaException where the template raises an error, has one, or runs into a limit
     */
    public String render(Map<String, ? extends @Nullable Object> context, Clock clock) {
        Scope scope = new Scope(null);
        globals(scope, clock);
        context.forEach((name, value) -> scope.set(name, importValue(value, 0)));
        try {
            return new Interpreter().render(statements, scope);
        } catch (StackOverflowError e) {
            throw new JinjaException("The chat template nests too deeply.", e);
        }
    }

    private static void globals(Scope scope, Clock clock) {
        scope.set("namespace", (Callable) (positional, named) -> {
            Namespace namespace = new Namespace();
            if (!positional.isEmpty() && positional.getFirst() instanceof Map<?, ?> map) {
                map.forEach((key, value) -> namespace.attributes.put(Values.string(key), value));
            }
            namespace.attributes.putAll(named);
            return namespace;
        });
        scope.set("dict", (Callable) ChatTemplate::dict);
        scope.set("range", (Callable) (positional, named) -> Range.of(positional));
        scope.set("raise_exception", (Callable) (positional, named) -> {
            throw new JinjaException("TemplateError: "
                    + Values.string(positional.isEmpty() ? "the chat template refuses" : positional.getFirst()));
        });
        scope.set("strftime_now", (Callable) (positional, named) -> Dates.strftime(
                Values.text(positional.isEmpty() ? null : positional.getFirst(), "strftime_now's format"),
                ZonedDateTime.now(clock)));
    }

    /** Python's {@code dict}: of a mapping or of pairs, with the named values last. */
    private static Map<@Nullable Object, @Nullable Object> dict(
            List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
        Map<@Nullable Object, @Nullable Object> result = new LinkedHashMap<>();
        if (positional.size() > 1) {
            throw new JinjaException("TypeError: dict expected at most 1 argument, got " + positional.size());
        }
        if (!positional.isEmpty() && positional.getFirst() instanceof Map<?, ?> map) {
            result.putAll(map);
        } else if (!positional.isEmpty()) {
            for (Object pair : Values.iterate(positional.getFirst())) {
                List<@Nullable Object> both = Values.iterate(pair);
                if (both.size() != 2) {
                    throw new JinjaException(
                            "ValueError: an element of dict's pairs has length " + both.size() + "; 2 is required");
                }
                result.put(Values.key(both.getFirst()), both.getLast());
            }
        }
        result.putAll(named);
        return result;
    }

    /** Copies a caller's value into the classes of {@link Values}; everything else is refused. */
    private static @Nullable Object importValue(@Nullable Object value, int depth) {
        if (depth > Budget.MAXIMUM_DEPTH) {
            throw new JinjaException("A value for the chat template nests too deeply.");
        }
        return switch (value) {
            case null -> null;
            case String s -> s;
            case Boolean b -> b;
            case Integer i -> (long) i;
            case Long l -> l;
            case Float f -> (double) f;
            case Double d -> d;
            case List<?> list -> {
                List<@Nullable Object> copy = new ArrayList<>(list.size());
                list.forEach(item -> copy.add(importValue(item, depth + 1)));
                yield copy;
            }
            case Map<?, ?> map -> {
                Map<String, @Nullable Object> copy = new LinkedHashMap<>();
                map.forEach((key, item) -> copy.put(String.valueOf(key), importValue(item, depth + 1)));
                yield copy;
            }
            default -> throw new JinjaException("A chat template takes no value of " + value.getClass() + ".");
        };
    }
}
