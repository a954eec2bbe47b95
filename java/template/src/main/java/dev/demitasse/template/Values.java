package dev.demitasse.template;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Python's semantics of the values of a template: null (none), {@link Boolean}, {@link Long}, {@link Double}, {@link
 * String}, {@link List} ({@link Tuple} and {@link Range} among them), {@link Map}, {@link LazyList}, {@link Namespace},
 * {@link Callable} and {@link Undefined}.
 */
final class Values {
    private Values() {}

    static boolean truthy(@Nullable Object value) {
        return switch (value) {
            case null -> false;
            case Undefined u -> false;
            case Boolean b -> b;
            case Long l -> l != 0;
            case Double d -> d != 0;
            case String s -> !s.isEmpty();
            case SafeText s -> !s.text().isEmpty();
            case Collection<?> c -> !c.isEmpty();
            case Map<?, ?> m -> !m.isEmpty();
            default -> true;
        };
    }

    /** The name of a value's type in Python, for messages. */
    static String typeName(@Nullable Object value) {
        return switch (value) {
            case null -> "NoneType";
            case Undefined u -> "Undefined";
            case Boolean b -> "bool";
            case Long l -> "int";
            case Double d -> "float";
            case String s -> "str";
            case SafeText s -> "str";
            case Tuple t -> "tuple";
            case Range r -> "range";
            case List<?> l -> "list";
            case Map<?, ?> m -> "dict";
            case LazyList g -> "generator";
            case Namespace n -> "Namespace";
            default -> "function";
        };
    }

    static JinjaException undefined(Undefined undefined) {
        return new JinjaException("'" + undefined.name() + "' is undefined");
    }

    /** The items of anything that can be iterated. */
    @SuppressWarnings("unchecked")
    static List<@Nullable Object> iterate(@Nullable Object value) {
        return switch (value) {
            case Undefined u -> List.of();
            case List<?> l -> (List<@Nullable Object>) l;
            case LazyList g -> g.take();
            case Map<?, ?> m -> new ArrayList<>(m.keySet());
            case String s -> {
                List<@Nullable Object> characters = new ArrayList<>();
                s.codePoints().forEach(c -> characters.add(Character.toString(c)));
                yield characters;
            }
            case null, default ->
                throw new JinjaException("TypeError: '" + typeName(value) + "' object is not iterable");
        };
    }

    static long length(@Nullable Object value) {
        return switch (value) {
            case Undefined u -> 0;
            case String s -> s.codePointCount(0, s.length());
            case List<?> l -> l.size();
            case Map<?, ?> m -> m.size();
            case null, default ->
                throw new JinjaException("TypeError: object of type '" + typeName(value) + "' has no len()");
        };
    }

    /**
     * A value that may be a key of a dictionary.
     *
     * @throws JinjaException where it may not: lists and dictionaries, as in Python, and tuples of such or of tuples
     */
    static @Nullable Object key(@Nullable Object value) {
        if (!hashable(value)) {
            throw new JinjaException("TypeError: unhashable type: '" + typeName(value) + "'");
        }
        return value;
    }

    /** Whether {@link #key} takes a value. */
    static boolean hashable(@Nullable Object value) {
        if (value instanceof Tuple tuple) {
            Budget.tick(tuple);
            return tuple.items().stream().noneMatch(item -> item instanceof Map<?, ?> || item instanceof List<?>);
        }
        return !(value instanceof Map<?, ?> || value instanceof List<?>);
    }

    static boolean equal(@Nullable Object a, @Nullable Object b) {
        Budget.tick(); // nested lists may name each other many times
        if (a instanceof Undefined || b instanceof Undefined) {
            return a instanceof Undefined && b instanceof Undefined;
        }
        Double x = asNumber(a);
        Double y = asNumber(b);
        if (x != null && y != null) {
            return x.doubleValue() == y.doubleValue();
        }
        if (a instanceof List<?> l && b instanceof List<?> m) {
            boolean alike = typeName(a).equals(typeName(b)) && l.size() == m.size();
            for (int i = 0; alike && i < l.size(); i++) {
                alike = equal(l.get(i), m.get(i));
            }
            return alike;
        }
        if (a instanceof Map<?, ?> l && b instanceof Map<?, ?> m) {
            boolean alike = l.size() == m.size();
            for (Map.Entry<?, ?> entry : l.entrySet()) {
                alike = alike && m.containsKey(entry.getKey()) && equal(entry.getValue(), m.get(entry.getKey()));
            }
            return alike;
        }
        return Objects.equals(a, b);
    }

    /** Numbers and booleans as a double, else null. */
    private static @Nullable Double asNumber(@Nullable Object value) {
        return switch (value) {
            case Boolean b -> b ? 1.0 : 0.0;
            case Long l -> (double) l;
            case Double d -> d;
            case null, default -> null;
        };
    }

    static int compare(@Nullable Object a, @Nullable Object b) {
        Budget.tick();
        Double x = asNumber(a);
        Double y = asNumber(b);
        if (x != null && y != null) {
            return Double.compare(x, y);
        }
        if (a instanceof String s && b instanceof String t) {
            return s.compareTo(t);
        }
        if (a instanceof List<?> l && b instanceof List<?> m) {
            for (int i = 0; i < Math.min(l.size(), m.size()); i++) {
                int order = compare(l.get(i), m.get(i));
                if (order != 0) {
                    return order;
                }
            }
            return Integer.compare(l.size(), m.size());
        }
        throw new JinjaException(
                "TypeError: '<' not supported between instances of '" + typeName(a) + "' and '" + typeName(b) + "'");
    }

    static boolean contains(@Nullable Object container, @Nullable Object item) {
        return switch (container) {
            case String s -> {
                if (!(item instanceof String part)) {
                    throw new JinjaException(
                            "TypeError: 'in <string>' requires string as left operand, not " + typeName(item));
                }
                Budget.tick(s);
                yield s.contains(part);
            }
            case Map<?, ?> m -> m.containsKey(key(item));
            case null, default -> {
                for (Object candidate : iterate(container)) {
                    if (equal(candidate, item)) {
                        yield true;
                    }
                }
                yield false;
            }
        };
    }

    /** What {@code str()} returns, and what a template prints. */
    static String string(@Nullable Object value) {
        return switch (value) {
            case Undefined u -> "";
            case String s -> s;
            case SafeText s -> s.text();
            case null, default -> representation(value);
        };
    }

    /** What {@code repr()} returns. */
    static String representation(@Nullable Object value) {
        StringBuilder out = new StringBuilder();
        represent(value, out, 0);
        return out.toString();
    }

    private static void represent(@Nullable Object value, StringBuilder out, int depth) {
        Budget.length(out.length());
        if (depth > Budget.MAXIMUM_DEPTH) {
            throw new JinjaException("A value of the chat template nests too deeply.");
        }
        switch (value) {
            case null -> out.append("None");
            case Boolean b -> out.append(b ? "True" : "False");
            case Long l -> out.append(l);
            case Double d -> out.append(number(d));
            case String s -> quote(s, out);
            case SafeText s -> quote(s.text(), out);
            case Range range -> out.append(range);
            case Tuple tuple -> {
                String separator = "(";
                for (Object item : tuple) {
                    out.append(separator);
                    represent(item, out, depth + 1);
                    separator = ", ";
                }
                out.append(tuple.isEmpty() ? "()" : tuple.size() == 1 ? ",)" : ")");
            }
            case List<?> list -> {
                String separator = "[";
                for (Object item : list) {
                    out.append(separator);
                    represent(item, out, depth + 1);
                    separator = ", ";
                }
                out.append(list.isEmpty() ? "[]" : "]");
            }
            case Map<?, ?> map -> {
                String separator = "{";
                for (Map.Entry<?, ?> entry : map.entrySet()) {
                    out.append(separator);
                    represent(entry.getKey(), out, depth + 1);
                    out.append(": ");
                    represent(entry.getValue(), out, depth + 1);
                    separator = ", ";
                }
                out.append(map.isEmpty() ? "{}" : "}");
            }
            case Undefined u -> out.append("Undefined");
            default -> out.append('<').append(typeName(value)).append('>');
        }
    }

    /**
     * A floating-point number as Python's repr: the fewest digits that give it, with an exponent below 1e-4 and from
     * 1e16 on.
     */
    static String number(double value) {
        if (!Double.isFinite(value)) {
            return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
        }
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        BigDecimal digits = new BigDecimal(Double.toString(value)).stripTrailingZeros();
        int power = digits.precision() - digits.scale() - 1;
        if (power >= -4 && power < 16) {
            String plain = digits.toPlainString();
            return plain.indexOf('.') < 0 ? plain + ".0" : plain;
        }
        String sign = power < 0 ? "-" : "+";
        return digits.movePointLeft(power).toPlainString() + "e" + sign + (Math.abs(power) < 10 ? "0" : "")
                + Math.abs(power);
    }

    private static void quote(String text, StringBuilder out) {
        char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
        out.append(quote);
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                default -> {
                    if (c == quote) {
                        out.append('\\').append(c);
                    } else if (c < 0x20 || c == 0x7F) {
                        out.append(String.format(java.util.Locale.ROOT, "\\x%02x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
            }
        }
        out.append(quote);
    }

    static long integer(@Nullable Object value, String what) {
        return switch (value) {
            case Long l -> l;
            case Boolean b -> b ? 1 : 0;
            case Undefined u -> throw undefined(u);
            case null, default ->
                throw new JinjaException("TypeError: " + what + " must be an integer, not " + typeName(value));
        };
    }

    static String text(@Nullable Object value, String what) {
        return switch (value) {
            case String s -> s;
            case Undefined u -> throw undefined(u);
            case null, default ->
                throw new JinjaException("TypeError: " + what + " must be a string, not " + typeName(value));
        };
    }
}
