package dev.demitasse.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The methods of Python's strings, lists and dictionaries that templates call. Those that change their object are
 * refused.
 */
final class Methods {
    private static final Set<String> LIST_CHANGES =
            Set.of("append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse");
    private static final Set<String> DICT_CHANGES = Set.of("pop", "popitem", "update", "clear", "setdefault");
    private static final Pattern LINE_END = Pattern.compile("\r\n|[\n\r\u000B\f\u001C-\u001E\u0085\u2028\u2029]");
    private static final Set<String> STRING_METHODS = Set.of(
            "upper",
            "lower",
            "title",
            "capitalize",
            "strip",
            "lstrip",
            "rstrip",
            "startswith",
            "endswith",
            "split",
            "rsplit",
            "splitlines",
            "replace",
            "join",
            "find",
            "rfind",
            "count",
            "isdigit",
            "isalpha",
            "isalnum",
            "isspace",
            "isupper",
            "islower",
            "isdecimal",
            "isnumeric",
            "istitle",
            "removeprefix",
            "removesuffix",
            "swapcase",
            "casefold",
            "zfill",
            "ljust",
            "rjust",
            "center",
            "partition",
            "rpartition",
            "expandtabs",
            "index",
            "rindex",
            "format",
            "encode");

    private Methods() {}

    /** The method {@code name} of {@code target}, or null. */
    static @Nullable Callable find(@Nullable Object target, String name) {
        return switch (target) {
            case String text
            when STRING_METHODS.contains(name) ->
                (positional, named) -> {
                    Budget.tick(text);
                    return string(text, name, positional, named);
                };
            case Map<?, ?> map -> dict(map, name);
            case List<?> list -> list(list, name);
            case null, default -> null;
        };
    }

    private static @Nullable Callable dict(Map<?, ?> map, String name) {
        if (DICT_CHANGES.contains(name)) {
            return refuse(name, "dict");
        }
        return switch (name) {
            case "get" ->
                (positional, named) -> {
                    Object key = argument(positional, 0, "get");
                    Object otherwise = positional.size() > 1 ? positional.get(1) : named.get("default");
                    return map.containsKey(Values.key(key)) ? map.get(key) : otherwise;
                };
            case "items" -> (positional, named) -> items(map);
            case "keys" -> (positional, named) -> new ArrayList<@Nullable Object>(map.keySet());
            case "values" -> (positional, named) -> new ArrayList<@Nullable Object>(map.values());
            case "copy" -> (positional, named) -> map;
            default -> null;
        };
    }

    static List<@Nullable Object> items(Map<?, ?> map) {
        List<@Nullable Object> items = new ArrayList<>();
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            List<@Nullable Object> pair = new ArrayList<>(2);
            pair.add(entry.getKey());
            pair.add(entry.getValue());
            items.add(new Tuple(pair));
        }
        return items;
    }

    private static @Nullable Callable list(List<?> list, String name) {
        if (LIST_CHANGES.contains(name)) {
            return refuse(name, "list");
        }
        return switch (name) {
            case "index" ->
                (positional, named) -> {
                    for (int i = 0; i < list.size(); i++) {
                        if (Values.equal(list.get(i), argument(positional, 0, "index"))) {
                            return (long) i;
                        }
                    }
                    throw new JinjaException("ValueError: the value is not in the list");
                };
            case "count" ->
                (positional, named) -> list.stream()
                        .filter(item -> Values.equal(item, argument(positional, 0, "count")))
                        .count();
            case "copy" -> (positional, named) -> list;
            default -> null;
        };
    }

    /** As Jinja2's immutable sandbox. */
    private static Callable refuse(String name, String type) {
        return (positional, named) -> {
            throw new JinjaException(
                    "SecurityError: access to attribute '" + name + "' of '" + type + "' object is unsafe.");
        };
    }

    private static @Nullable Object argument(List<@Nullable Object> positional, int index, String method) {
        if (index >= positional.size()) {
            throw new JinjaException("TypeError: " + method + "() needs " + (index + 1) + " argument(s)");
        }
        return positional.get(index);
    }

    private static Object string(
            String text, String name, List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
        return switch (name) {
            case "upper" -> text.toUpperCase(Locale.ROOT);
            case "lower" -> text.toLowerCase(Locale.ROOT);
            case "title" -> title(text);
            case "capitalize" -> capitalize(text);
            case "strip" -> strip(text, characters(positional), true, true);
            case "lstrip" -> strip(text, characters(positional), true, false);
            case "rstrip" -> strip(text, characters(positional), false, true);
            case "startswith" -> affixes(argument(positional, 0, name)).stream().anyMatch(text::startsWith);
            case "endswith" -> affixes(argument(positional, 0, name)).stream().anyMatch(text::endsWith);
            case "removeprefix" -> {
                String prefix = Values.text(argument(positional, 0, name), "a prefix");
                yield text.startsWith(prefix) ? text.substring(prefix.length()) : text;
            }
            case "removesuffix" -> {
                String suffix = Values.text(argument(positional, 0, name), "a suffix");
                yield text.endsWith(suffix) ? text.substring(0, text.length() - suffix.length()) : text;
            }
            case "split", "rsplit" -> {
                Object separator = positional.isEmpty() ? named.get("sep") : positional.get(0);
                Object most = positional.size() > 1 ? positional.get(1) : named.getOrDefault("maxsplit", -1L);
                yield split(text, separator, Values.integer(most, "maxsplit"), name.equals("rsplit"));
            }
            case "splitlines" -> lines(text, !positional.isEmpty() && Values.truthy(positional.getFirst()));
            case "partition", "rpartition" ->
                partition(text, Values.text(argument(positional, 0, name), "a separator"), name.equals("rpartition"));
            case "swapcase" -> swapCase(text);
            case "casefold" -> text.toUpperCase(Locale.ROOT).toLowerCase(Locale.ROOT);
            case "zfill" -> {
                String sign = text.startsWith("-") || text.startsWith("+") ? text.substring(0, 1) : "";
                long width = Values.integer(argument(positional, 0, name), "a width");
                yield sign + justified(text.substring(sign.length()), width - sign.length(), "0", 1);
            }
            case "ljust", "rjust", "center" -> {
                String fill = positional.size() > 1 ? Values.text(positional.get(1), "a fill") : " ";
                if (Values.length(fill) != 1) {
                    throw new JinjaException("TypeError: The fill character must be exactly one character long");
                }
                double left = name.equals("ljust") ? 0 : name.equals("rjust") ? 1 : 0.5;
                yield justified(text, Values.integer(argument(positional, 0, name), "a width"), fill, left);
            }
            case "expandtabs" ->
                expandTabs(text, positional.isEmpty() ? 8 : Values.integer(positional.getFirst(), "a width"));
            case "format" -> Formats.format(text, positional, named);
            case "encode" ->
                throw new JinjaException("The method encode() of strings is not supported: a template writes text.");
            case "replace" -> {
                String from = Values.text(argument(positional, 0, name), "replace()'s first argument");
                String to = Values.text(argument(positional, 1, name), "replace()'s second argument");
                long most = positional.size() > 2 ? Values.integer(positional.get(2), "a count") : -1;
                yield replace(text, from, to, most);
            }
            case "join" -> join(Values.iterate(argument(positional, 0, name)), text);
            case "find", "index", "rfind", "rindex" -> {
                String part = Values.text(argument(positional, 0, name), name + "()'s argument");
                int found = name.startsWith("r") ? text.lastIndexOf(part) : text.indexOf(part);
                if (found < 0 && name.endsWith("index")) {
                    throw new JinjaException("ValueError: substring not found");
                }
                yield found < 0 ? -1L : text.codePointCount(0, found);
            }
            case "count" -> {
                String part = Values.text(argument(positional, 0, name), "count()'s argument");
                yield part.isEmpty()
                        ? text.length() + 1L
                        : (long) split(text, part, -1, false).size() - 1;
            }
            case "isdecimal", "isnumeric", "isdigit" ->
                !text.isEmpty() && text.codePoints().allMatch(Character::isDigit);
            case "isalpha" -> !text.isEmpty() && text.codePoints().allMatch(Character::isLetter);
            case "isalnum" -> !text.isEmpty() && text.codePoints().allMatch(Character::isLetterOrDigit);
            case "isspace" -> !text.isEmpty() && text.codePoints().allMatch(Character::isWhitespace);
            case "istitle" -> !text.equals(text.toLowerCase(Locale.ROOT)) && text.equals(title(text));
            case "isupper" -> Tests.apply("upper", text, List.of(), 0);
            default -> Tests.apply("lower", text, List.of(), 0); // islower
        };
    }

    private static @Nullable String characters(List<@Nullable Object> positional) {
        return positional.isEmpty() || positional.getFirst() == null
                ? null
                : Values.text(positional.getFirst(), "strip()'s argument");
    }

    private static List<String> affixes(@Nullable Object value) {
        if (value instanceof List<?> list) {
            return list.stream().map(item -> Values.text(item, "an affix")).toList();
        }
        return List.of(Values.text(value, "an affix"));
    }

    static String strip(String text, @Nullable String characters, boolean left, boolean right) {
        int from = 0;
        int to = text.length();
        while (left && from < to && stripped(text.charAt(from), characters)) {
            from++;
        }
        while (right && to > from && stripped(text.charAt(to - 1), characters)) {
            to--;
        }
        return text.substring(from, to);
    }

    private static boolean stripped(char c, @Nullable String characters) {
        return characters == null ? Character.isWhitespace(c) || Character.isSpaceChar(c) : characters.indexOf(c) >= 0;
    }

    private static List<@Nullable Object> split(String text, @Nullable Object separator, long most, boolean fromRight) {
        List<@Nullable Object> parts = new ArrayList<>();
        if (separator == null && fromRight && most >= 0) {
            String rest = strip(text, null, false, true);
            while (parts.size() < most && !rest.isEmpty()) {
                int at = rest.length();
                while (at > 0 && !stripped(rest.charAt(at - 1), null)) {
                    at--;
                }
                parts.addFirst(rest.substring(at));
                rest = strip(rest.substring(0, at), null, false, true);
            }
            rest = strip(rest, null, true, true);
            if (!rest.isEmpty()) {
                parts.addFirst(rest);
            }
            return parts;
        }
        if (separator == null) {
            int pieces = (int) Math.min(Integer.MAX_VALUE, most < 0 ? 0 : most + 1);
            for (String word : Methods.strip(text, null, true, most < 0).split("(?U)\\s+", pieces)) {
                if (!word.isEmpty()) {
                    parts.add(word);
                }
            }
            return parts;
        }
        String by = Values.text(separator, "a separator");
        if (by.isEmpty()) {
            throw new JinjaException("ValueError: empty separator");
        }
        if (fromRight) {
            int end = text.length();
            for (int at = text.lastIndexOf(by); at >= 0 && (most < 0 || parts.size() < most); ) {
                parts.addFirst(text.substring(at + by.length(), end));
                end = at;
                at = at == 0 ? -1 : text.lastIndexOf(by, at - by.length());
            }
            parts.addFirst(text.substring(0, end));
            return parts;
        }
        int from = 0;
        for (int at = text.indexOf(by); at >= 0 && (most < 0 || parts.size() < most); at = text.indexOf(by, from)) {
            parts.add(text.substring(from, at));
            from = at + by.length();
        }
        parts.add(text.substring(from));
        return parts;
    }

    static String replace(String text, String from, String to, long most) {
        StringBuilder out = new StringBuilder();
        int at = 0;
        for (long i = 0; most < 0 || i < most; i++) {
            int found = from.isEmpty() && i > 0 ? at + 1 : text.indexOf(from, at);
            if (found < 0 || found > text.length()) {
                break;
            }
            out.append(text, at, found).append(to);
            at = found + from.length();
            Budget.length(out.length());
        }
        return out.append(text, at, text.length()).toString();
    }

    static String join(List<@Nullable Object> items, String separator) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < items.size(); i++) {
            out.append(i == 0 ? "" : separator).append(Values.string(items.get(i)));
            Budget.length(out.length());
        }
        return out.toString();
    }

    static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int first = text.codePointAt(0);
        return Character.toString(Character.toTitleCase(first))
                + text.substring(Character.charCount(first)).toLowerCase(Locale.ROOT);
    }

    static String title(String text) {
        StringBuilder out = new StringBuilder();
        boolean begin = true;
        for (int i = 0; i < text.length(); ) {
            int c = text.codePointAt(i);
            out.appendCodePoint(begin ? Character.toTitleCase(c) : Character.toLowerCase(c));
            begin = !Character.isLetter(c);
            i += Character.charCount(c);
        }
        return out.toString();
    }

    private static String swapCase(String text) {
        StringBuilder out = new StringBuilder();
        text.codePoints().forEach(c -> {
            String one = Character.toString(c);
            out.append(Character.isUpperCase(c) ? one.toLowerCase(Locale.ROOT) : one.toUpperCase(Locale.ROOT));
        });
        return out.toString();
    }

    /**
     * A text filled up to a width in code points.
     *
     * @param left the part of the filling that goes to the left: 0, 1, or a half, rounded as Python does
     */
    static String justified(String text, long width, String fill, double left) {
        long missing = Math.max(0, width - Values.length(text));
        Budget.length(missing + text.length());
        long before = left == 0.5 ? missing / 2 + (missing & width & 1) : (long) (missing * left);
        return fill.repeat((int) before) + text + fill.repeat((int) (missing - before));
    }

    private static Tuple partition(String text, String by, boolean fromRight) {
        if (by.isEmpty()) {
            throw new JinjaException("ValueError: empty separator");
        }
        int at = fromRight ? text.lastIndexOf(by) : text.indexOf(by);
        if (at < 0) {
            return new Tuple(fromRight ? List.of("", "", text) : List.of(text, "", ""));
        }
        return new Tuple(List.of(text.substring(0, at), by, text.substring(at + by.length())));
    }

    private static List<@Nullable Object> lines(String text, boolean withEnds) {
        List<@Nullable Object> lines = new ArrayList<>();
        Matcher end = LINE_END.matcher(text);
        int from = 0;
        while (end.find()) {
            lines.add(text.substring(from, withEnds ? end.end() : end.start()));
            from = end.end();
        }
        if (from < text.length()) {
            lines.add(text.substring(from));
        }
        return lines;
    }

    private static String expandTabs(String text, long width) {
        StringBuilder out = new StringBuilder();
        int column = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '\t') {
                int blanks = width <= 0 ? 0 : (int) (Math.min(width, 1000) - column % Math.min(width, 1000));
                out.repeat(" ", blanks);
                column += blanks;
                Budget.length(out.length());
            } else {
                out.append(c);
                column = c == '\n' || c == '\r' ? 0 : column + 1;
            }
        }
        return out.toString();
    }
}
