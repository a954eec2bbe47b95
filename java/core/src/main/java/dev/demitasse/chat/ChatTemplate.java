package dev.demitasse.chat;

import dev.demitasse.TemplateException;
import java.time.Clock;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.TextStyle;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A chat template: the program in a model's file that writes a conversation in the form the model was trained on.
 *
 * <p>The language is the part of Jinja2 that such templates use, rendered as Hugging Face's {@code apply_chat_template} does
 * (trim_blocks, lstrip_blocks, loop controls, the immutable sandbox, {@code tojson} without HTML escapes). A template cannot
 * reach Java objects, and its steps, depth and output are limited; values, user text among them, are never evaluated.
 */
public final class ChatTemplate {
    private final List<Statement> statements;

    private ChatTemplate(List<Statement> statements) {
        this.statements = statements;
    }

    /**
     * Parses a template.
     *
     * @throws TemplateException where it is malformed or uses what is not supported, with the line
     */
    public static ChatTemplate parse(String source) {
        return new ChatTemplate(TemplateParser.parse(source));
    }

    /** {@link #render(Map, Clock)} with the system's clock. */
    public String render(Map<String, ? extends @Nullable Object> context) {
        return render(context, Clock.system(ZoneId.systemDefault()));
    }

    /**
     * Renders the template.
     *
     * @param context variables: strings, booleans, integers, floating-point numbers, null, and lists and string-keyed maps of
     *     such
     * @param clock what {@code strftime_now} reads
     * @throws TemplateException where the template raises an error, has one, or runs into a limit
     */
    public String render(Map<String, ? extends @Nullable Object> context, Clock clock) {
        Scope scope = new Scope(null);
        globals(scope, clock);
        context.forEach((name, value) -> scope.set(name, importValue(value, 0)));
        try {
            return new Interpreter().render(statements, scope);
        } catch (StackOverflowError e) {
            throw new TemplateException("The chat template nests too deeply.", e);
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
        scope.set("dict", (Callable) (positional, named) -> new LinkedHashMap<>(named));
        scope.set("range", (Callable) (positional, named) -> range(positional));
        scope.set("raise_exception", (Callable) (positional, named) -> {
            throw new TemplateException("TemplateError: "
                    + Values.string(positional.isEmpty() ? "the chat template refuses" : positional.getFirst()));
        });
        scope.set("strftime_now", (Callable) (positional, named) -> strftime(
                Values.text(positional.isEmpty() ? null : positional.getFirst(), "strftime_now's format"),
                LocalDateTime.now(clock)));
    }

    private static List<@Nullable Object> range(List<@Nullable Object> arguments) {
        long first = Values.integer(arguments.isEmpty() ? null : arguments.getFirst(), "range's argument");
        long from = arguments.size() > 1 ? first : 0;
        long to = arguments.size() > 1 ? Values.integer(arguments.get(1), "range's argument") : first;
        long step = arguments.size() > 2 ? Values.integer(arguments.get(2), "range's step") : 1;
        if (step == 0) {
            throw new TemplateException("ValueError: range() arg 3 must not be zero");
        }
        List<@Nullable Object> items = new ArrayList<>();
        for (long i = from; step > 0 ? i < to : i > to; i += step) {
            if (items.size() >= Budget.MAXIMUM_RANGE) {
                throw new TemplateException("OverflowError: Range too big. The sandbox blocks ranges larger than "
                        + Budget.MAXIMUM_RANGE + ".");
            }
            items.add(i);
        }
        return items;
    }

    private static String strftime(String format, LocalDateTime now) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if (c != '%' || i + 1 == format.length()) {
                out.append(c);
                continue;
            }
            char field = format.charAt(++i);
            out.append(
                    switch (field) {
                        case 'Y' -> String.valueOf(now.getYear());
                        case 'y' -> two(now.getYear() % 100);
                        case 'm' -> two(now.getMonthValue());
                        case 'd' -> two(now.getDayOfMonth());
                        case 'e' -> String.format(Locale.ROOT, "%2d", now.getDayOfMonth());
                        case 'H' -> two(now.getHour());
                        case 'I' -> two((now.getHour() + 11) % 12 + 1);
                        case 'M' -> two(now.getMinute());
                        case 'S' -> two(now.getSecond());
                        case 'p' -> now.getHour() < 12 ? "AM" : "PM";
                        case 'B' -> now.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
                        case 'b' -> now.getMonth().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
                        case 'A' -> now.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
                        case 'a' -> now.getDayOfWeek().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
                        case 'j' -> String.format(Locale.ROOT, "%03d", now.getDayOfYear());
                        case '%' -> "%";
                        default ->
                            throw new TemplateException("ValueError: strftime_now does not know %" + field + ".");
                    });
        }
        return out.toString();
    }

    private static String two(int number) {
        return String.format(Locale.ROOT, "%02d", number);
    }

    /** Copies a caller's value into the classes of {@link Values}; everything else is refused. */
    private static @Nullable Object importValue(@Nullable Object value, int depth) {
        if (depth > Budget.MAXIMUM_DEPTH) {
            throw new TemplateException("A value for the chat template nests too deeply.");
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
            default -> throw new TemplateException("A chat template takes no value of " + value.getClass() + ".");
        };
    }
}
