package dev.demitasse.template;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** The filters of Jinja2 that chat templates use. */
final class Filters {
    private static final Pattern WORD = Pattern.compile("\\w+", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern WORD_BEGIN = Pattern.compile("[-\\s({\\[<]+", Pattern.UNICODE_CHARACTER_CLASS);
    private static final Pattern FLOAT =
            Pattern.compile("[-+]?(?:[0-9]++(?:\\.[0-9]*+)?+|\\.[0-9]++)(?:[eE][-+]?[0-9]++)?+");

    private Filters() {}

    /** The arguments of a filter, by position or name. */
    private record Given(List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
        @Nullable
        Object get(int index, String name, @Nullable Object otherwise) {
            return index >= 0 && index < positional.size()
                    ? positional.get(index)
                    : named.getOrDefault(name, otherwise);
        }
    }

    static @Nullable Object apply(
            String name,
            @Nullable Object target,
            List<@Nullable Object> positional,
            Map<String, @Nullable Object> named,
            int line) {
        Given given = new Given(positional, named);
        Object value = SafeText.plain(target);
        return switch (name) {
            case "tojson" -> toJson(value, given);
            case "from_json", "fromjson" -> Json.parse(Values.text(value, "from_json's value"));
            case "length", "count" -> Values.length(value);
            case "string" -> Values.string(value);
            case "safe" -> new SafeText(Values.string(value));
            case "e", "escape" -> new SafeText(SafeText.escape(Values.string(value)));
            case "trim" -> Methods.strip(Values.string(value), textOrNull(given.get(0, "chars", null)), true, true);
            case "upper" -> Values.string(value).toUpperCase(Locale.ROOT);
            case "lower" -> Values.string(value).toLowerCase(Locale.ROOT);
            case "title" -> title(Values.string(value));
            case "format" -> Formats.percent(Values.string(value), new Tuple(positional));
            case "center" ->
                Methods.justified(
                        Values.string(value), Values.integer(given.get(0, "width", 80L), "a width"), " ", 0.5);
            case "truncate" -> truncate(Values.string(value), given);
            case "wordcount" -> WORD.matcher(Values.string(value)).results().count();
            case "capitalize" -> Methods.capitalize(Values.string(value));
            case "replace" ->
                Methods.replace(
                        Values.string(value),
                        Values.string(given.get(0, "old", "")),
                        Values.string(given.get(1, "new", "")),
                        Values.integer(given.get(2, "count", -1L), "a count"));
            case "indent" -> indent(Values.string(value), given);
            case "default", "d" -> {
                boolean missing = value instanceof Undefined
                        || Values.truthy(given.get(1, "boolean", false)) && !Values.truthy(value);
                yield missing ? given.get(0, "default_value", "") : value;
            }
            case "int" ->
                toInteger(
                        value,
                        given.get(0, "default", 0L),
                        Math.clamp(Values.integer(given.get(1, "base", 10L), "a base"), 2, 36));
            case "float" -> toFloat(value, given.get(0, "default", 0.0));
            case "abs" ->
                value instanceof Double d ? (Object) Math.abs(d) : (Object) Math.abs(Values.integer(value, "a number"));
            case "round" ->
                round(
                        value,
                        Math.clamp(Values.integer(given.get(0, "precision", 0L), "a precision"), -300, 300),
                        Values.string(given.get(1, "method", "common")));
            default -> sequence(name, value, given, line);
        };
    }

    private static @Nullable Object sequence(String name, @Nullable Object value, Given given, int line) {
        return switch (name) {
            case "list" -> new ArrayList<>(Values.iterate(value));
            case "items" ->
                switch (value) {
                    case Undefined u -> List.of();
                    case Map<?, ?> map -> Methods.items(map);
                    case null, default ->
                        throw new JinjaException("TypeError: Can only get item pairs from a mapping.");
                };
            case "join" -> join(value, given);
            case "first" -> end(Values.iterate(value), true);
            case "last" -> end(Values.iterate(value), false);
            case "reverse" -> reverse(value);
            case "sort" -> sort(value, given);
            case "unique" -> new LazyList(unique(value, given));
            case "dictsort" -> dictSort(value, given);
            case "groupby" -> groupBy(value, given);
            case "batch" -> new LazyList(batches(value, given));
            case "slice" -> new LazyList(slices(value, given));
            case "map" -> new LazyList(map(value, given, line));
            case "select" -> new LazyList(select(value, given, 0, null, true, line));
            case "reject" -> new LazyList(select(value, given, 0, null, false, line));
            case "selectattr" -> new LazyList(select(value, given, 1, attributeName(given), true, line));
            case "rejectattr" -> new LazyList(select(value, given, 1, attributeName(given), false, line));
            case "sum" -> {
                Object sum = given.get(1, "start", 0L);
                for (Object item : Values.iterate(value)) {
                    sum = Operators.binary("+", sum, attribute(item, textOrNull(given.get(0, "attribute", null))));
                }
                yield sum;
            }
            case "min", "max" -> {
                List<@Nullable Object> items = Values.iterate(value);
                boolean caseSensitive = Values.truthy(given.get(0, "case_sensitive", false));
                String attribute = textOrNull(given.get(1, "attribute", null));
                Comparator<@Nullable Object> order = (a, b) -> Values.compare(
                        folded(attribute(a, attribute), caseSensitive), folded(attribute(b, attribute), caseSensitive));
                yield items.isEmpty()
                        ? new Undefined(name)
                        : name.equals("min") ? Collections.min(items, order) : Collections.max(items, order);
            }
            default ->
                throw new JinjaException("TemplateAssertionError: no filter named '" + name + "' (line " + line + ")");
        };
    }

    private static String toJson(@Nullable Object value, Given given) {
        Object indent = given.get(1, "indent", null);
        String unit = indent == null
                ? null
                : indent instanceof String text
                        ? text
                        : " ".repeat(Math.clamp(Values.integer(indent, "an indent"), 0, 64));
        Object separators = given.get(2, "separators", null);
        List<@Nullable Object> pair = separators == null ? List.of(", ", ": ") : Values.iterate(separators);
        if (pair.size() != 2) {
            throw new JinjaException("ValueError: tojson needs two separators");
        }
        if (value instanceof Undefined) {
            throw new JinjaException("TypeError: Object of type Undefined is not JSON serializable");
        }
        return new Json(
                        Values.truthy(given.get(0, "ensure_ascii", false)),
                        unit,
                        Values.string(pair.get(0)),
                        Values.string(pair.get(1)),
                        Values.truthy(given.get(3, "sort_keys", false)))
                .write(value);
    }

    private static String indent(String text, Given given) {
        Object width = given.get(0, "width", 4L);
        String unit = width instanceof String s ? s : " ".repeat(Math.clamp(Values.integer(width, "a width"), 0, 1000));
        boolean first = Values.truthy(given.get(1, "first", false));
        boolean blank = Values.truthy(given.get(2, "blank", false));
        String[] lines = text.split("\n", -1);
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < lines.length; i++) {
            boolean indented = i == 0 ? first : blank || !lines[i].isEmpty();
            out.append(i == 0 ? "" : "\n").append(indented ? unit : "").append(lines[i]);
            Budget.length(out.length());
        }
        return out.toString();
    }

    /** As Python: an integer of the base, else a floating-point number cut off. */
    private static @Nullable Object toInteger(@Nullable Object value, @Nullable Object otherwise, int base) {
        return switch (value) {
            case Long l -> l;
            case Boolean b -> b ? 1L : 0L;
            case Double d -> Double.isFinite(d) ? (Object) (long) (double) d : otherwise;
            case String s -> {
                String digits = s.strip().replaceAll("(?<=[0-9a-zA-Z])_(?=[0-9a-zA-Z])", "");
                String prefix = base == 16 ? "0[xX]" : base == 8 ? "0[oO]" : base == 2 ? "0[bB]" : "$^";
                try {
                    yield Long.parseLong(digits.replaceFirst("^([-+]?)" + prefix, "$1"), base);
                } catch (NumberFormatException e) {
                    Object number = toFloat(digits, null);
                    yield number instanceof Double d && Double.isFinite(d) ? (Object) (long) (double) d : otherwise;
                }
            }
            case null, default -> otherwise;
        };
    }

    private static @Nullable Object toFloat(@Nullable Object value, @Nullable Object otherwise) {
        return switch (value) {
            case Double d -> d;
            case Long l -> (double) l;
            case Boolean b -> b ? 1.0 : 0.0;
            case String s when FLOAT.matcher(s.strip()).matches() -> Double.valueOf(s.strip());
            case null, default -> otherwise;
        };
    }

    /**
     * As Python's {@code round}, by the exact value of the number, ties to even; {@code ceil} and {@code floor} as
     * Jinja2 has them.
     */
    private static Object round(@Nullable Object value, int precision, String method) {
        if (!Set.of("common", "ceil", "floor").contains(method)) {
            throw new JinjaException("FilterArgumentError: method must be common, ceil or floor");
        }
        double number = value instanceof Double d ? d : Values.integer(value, "a number");
        if (!method.equals("common")) {
            double factor = Math.pow(10, precision);
            return (method.equals("ceil") ? Math.ceil(number * factor) : Math.floor(number * factor)) / factor;
        }
        if (!(value instanceof Double)) {
            long whole = Values.integer(value, "a number");
            return precision >= 0
                    ? (Object) whole
                    : new BigDecimal(whole)
                            .setScale(precision, RoundingMode.HALF_EVEN)
                            .longValue();
        }
        return Double.isFinite(number)
                ? new BigDecimal(number)
                        .setScale(precision, RoundingMode.HALF_EVEN)
                        .doubleValue()
                : (Object) number;
    }

    /** Words begin after blanks, hyphens and opening brackets; the rest of them is small. */
    private static String title(String text) {
        StringBuilder out = new StringBuilder();
        Matcher begin = WORD_BEGIN.matcher(text);
        int from = 0;
        while (from < text.length()) {
            int end = begin.find(from) ? begin.start() : text.length();
            if (end > from) {
                int first = text.codePointAt(from);
                out.append(Character.toString(first).toUpperCase(Locale.ROOT));
                out.append(
                        text.substring(from + Character.charCount(first), end).toLowerCase(Locale.ROOT));
            }
            from = end < text.length() ? begin.end() : end;
            out.append(text, end, from);
        }
        return out.toString();
    }

    private static String truncate(String text, Given given) {
        long length = Values.integer(given.get(0, "length", 255L), "a length");
        boolean killsWords = Values.truthy(given.get(1, "killwords", false));
        String end = Values.string(given.get(2, "end", "..."));
        Object leeway = given.get(3, "leeway", 5L);
        if (length < Values.length(end)) {
            throw new JinjaException("AssertionError: expected length >= " + Values.length(end) + ", got " + length);
        }
        if (Values.length(text) <= length + (leeway == null ? 5 : Values.integer(leeway, "a leeway"))) {
            return text;
        }
        String cut = text.substring(0, text.offsetByCodePoints(0, (int) (length - Values.length(end))));
        int space = killsWords ? -1 : cut.lastIndexOf(' ');
        return (space < 0 ? cut : cut.substring(0, space)) + end;
    }

    /** Pairs of a value and the items that have it, by the attribute's order. */
    private static List<@Nullable Object> groupBy(@Nullable Object value, Given given) {
        String by = given.positional.isEmpty()
                ? Values.text(given.named.get("attribute"), "an attribute")
                : Values.string(given.positional.getFirst());
        boolean caseSensitive = Values.truthy(given.get(2, "case_sensitive", false));
        Object otherwise = given.get(1, "default", null);
        List<@Nullable Object> sorted = new ArrayList<>(Values.iterate(value));
        sorted.sort((a, b) -> Values.compare(
                folded(attribute(a, by, otherwise), caseSensitive),
                folded(attribute(b, by, otherwise), caseSensitive)));
        List<@Nullable Object> groups = new ArrayList<>();
        List<@Nullable Object> group = new ArrayList<>();
        for (int i = 0; i < sorted.size(); i++) {
            Object item = sorted.get(i);
            group.add(item);
            boolean ends = i + 1 == sorted.size()
                    || !Values.equal(
                            folded(attribute(item, by, otherwise), caseSensitive),
                            folded(attribute(sorted.get(i + 1), by, otherwise), caseSensitive));
            if (ends) {
                List<@Nullable Object> pair = new ArrayList<>();
                pair.add(attribute(group.getFirst(), by, otherwise));
                pair.add(group);
                groups.add(new Tuple(pair, List.of("grouper", "list")));
                group = new ArrayList<>();
            }
        }
        return groups;
    }

    private static @Nullable Object attribute(@Nullable Object item, String path, @Nullable Object otherwise) {
        Object found = attribute(item, path);
        return found instanceof Undefined && otherwise != null ? otherwise : found;
    }

    private static List<@Nullable Object> batches(@Nullable Object value, Given given) {
        long size = Values.integer(given.get(0, "linecount", null), "a number of items");
        Object fill = given.get(1, "fill_with", null);
        Budget.length(fill == null ? 0 : size);
        List<@Nullable Object> batches = new ArrayList<>();
        List<@Nullable Object> batch = new ArrayList<>();
        for (Object item : Values.iterate(value)) {
            if (batch.size() == size) {
                batches.add(batch);
                batch = new ArrayList<>();
            }
            batch.add(item);
        }
        if (!batch.isEmpty()) {
            while (fill != null && batch.size() < size) {
                batch.add(fill);
            }
            batches.add(batch);
        }
        return batches;
    }

    private static List<@Nullable Object> slices(@Nullable Object value, Given given) {
        long count = Values.integer(given.get(0, "slices", null), "a number of slices");
        Object fill = given.get(1, "fill_with", null);
        if (count < 1 || count > Budget.MAXIMUM_RANGE) {
            throw new JinjaException("ValueError: " + count + " slices");
        }
        List<@Nullable Object> items = Values.iterate(value);
        int each = items.size() / (int) count;
        int longer = items.size() % (int) count;
        List<@Nullable Object> slices = new ArrayList<>();
        int from = 0;
        for (int i = 0; i < count; i++) {
            int to = from + each + (i < longer ? 1 : 0);
            List<@Nullable Object> slice = new ArrayList<>(items.subList(from, to));
            if (fill != null && i >= longer) {
                slice.add(fill);
            }
            slices.add(slice);
            from = to;
        }
        return slices;
    }

    private static String join(@Nullable Object value, Given given) {
        String attribute = textOrNull(given.get(1, "attribute", null));
        List<@Nullable Object> items = new ArrayList<>();
        for (Object item : Values.iterate(value)) {
            items.add(attribute(item, attribute));
        }
        return Methods.join(items, Values.string(given.get(0, "d", "")));
    }

    private static @Nullable Object end(List<@Nullable Object> items, boolean first) {
        if (items.isEmpty()) {
            return new Undefined(first ? "the first item of nothing" : "the last item of nothing");
        }
        return first ? items.getFirst() : items.getLast();
    }

    private static Object reverse(@Nullable Object value) {
        if (value instanceof String text) {
            return new StringBuilder(text).reverse().toString();
        }
        return new LazyList(new ArrayList<>(Values.iterate(value)).reversed());
    }

    private static List<@Nullable Object> sort(@Nullable Object value, Given given) {
        boolean caseSensitive = Values.truthy(given.get(1, "case_sensitive", false));
        String attribute = textOrNull(given.get(2, "attribute", null));
        Comparator<@Nullable Object> order = (a, b) -> Values.compare(
                folded(attribute(a, attribute), caseSensitive), folded(attribute(b, attribute), caseSensitive));
        List<@Nullable Object> sorted = new ArrayList<>(Values.iterate(value));
        sorted.sort(Values.truthy(given.get(0, "reverse", false)) ? order.reversed() : order);
        return sorted;
    }

    private static @Nullable Object folded(@Nullable Object value, boolean caseSensitive) {
        return !caseSensitive && value instanceof String text ? text.toLowerCase(Locale.ROOT) : value;
    }

    private static List<@Nullable Object> unique(@Nullable Object value, Given given) {
        boolean caseSensitive = Values.truthy(given.get(0, "case_sensitive", false));
        List<@Nullable Object> seen = new ArrayList<>();
        List<@Nullable Object> result = new ArrayList<>();
        for (Object item : Values.iterate(value)) {
            Object key = folded(attribute(item, textOrNull(given.get(1, "attribute", null))), caseSensitive);
            if (!Values.contains(seen, key)) {
                seen.add(key);
                result.add(item);
            }
        }
        return result;
    }

    private static List<@Nullable Object> dictSort(@Nullable Object value, Given given) {
        if (!(value instanceof Map<?, ?> map)) {
            throw new JinjaException("TypeError: dictsort needs a mapping, not " + Values.typeName(value));
        }
        boolean caseSensitive = Values.truthy(given.get(0, "case_sensitive", false));
        int by = "value".equals(given.get(1, "by", "key")) ? 1 : 0;
        Comparator<@Nullable Object> order = (a, b) -> Values.compare(
                folded(Values.iterate(a).get(by), caseSensitive),
                folded(Values.iterate(b).get(by), caseSensitive));
        List<@Nullable Object> items = Methods.items(map);
        items.sort(Values.truthy(given.get(2, "reverse", false)) ? order.reversed() : order);
        return items;
    }

    private static List<@Nullable Object> map(@Nullable Object value, Given given, int line) {
        String attribute = textOrNull(given.named.get("attribute"));
        List<@Nullable Object> result = new ArrayList<>();
        for (Object item : truthyItems(value)) {
            if (attribute != null) {
                Object found = attribute(item, attribute);
                result.add(found instanceof Undefined ? given.named.getOrDefault("default", found) : found);
            } else {
                String filter = Values.text(given.get(0, "", null), "map's filter");
                result.add(
                        apply(filter, item, given.positional.subList(1, given.positional.size()), given.named, line));
            }
        }
        return result;
    }

    /** Map and select take anything false, none included, for an empty list. */
    private static List<@Nullable Object> truthyItems(@Nullable Object value) {
        return Values.truthy(value) ? Values.iterate(value) : List.of();
    }

    private static String attributeName(Given given) {
        return Values.text(given.get(0, "", null), "an attribute");
    }

    private static List<@Nullable Object> select(
            @Nullable Object value, Given given, int testAt, @Nullable String attribute, boolean wanted, int line) {
        List<@Nullable Object> result = new ArrayList<>();
        for (Object item : truthyItems(value)) {
            Object subject = attribute(item, attribute);
            boolean passes = given.positional.size() > testAt
                    ? Tests.apply(
                            Values.text(given.positional.get(testAt), "a test"),
                            subject,
                            given.positional.subList(testAt + 1, given.positional.size()),
                            line)
                    : Values.truthy(subject);
            if (passes == wanted) {
                result.add(item);
            }
        }
        return result;
    }

    /** {@code item.a.b} for the attribute "a.b"; the item itself for null. */
    private static @Nullable Object attribute(@Nullable Object item, @Nullable String path) {
        if (path == null) {
            return item;
        }
        Object value = item;
        for (String name : path.split("\\.", -1)) {
            boolean index = !name.isEmpty() && name.chars().allMatch(Character::isDigit) && name.length() < 10;
            value = Operators.item(value, index ? (Object) Long.valueOf(name) : name);
        }
        return value;
    }

    private static @Nullable String textOrNull(@Nullable Object value) {
        return value == null ? null : Values.text(value, "an argument");
    }
}
