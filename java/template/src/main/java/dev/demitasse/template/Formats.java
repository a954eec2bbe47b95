package dev.demitasse.template;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Python's two ways of formatting: {@code '%5.2f' % x} and {@code '{:>5}'.format(x)}. */
final class Formats {
    private static final Pattern PERCENT = Pattern.compile("%([-+ 0#]*)([0-9]*)(?:\\.([0-9]+))?([a-zA-Z%])");
    private static final Pattern SPECIFICATION = Pattern.compile(
            "(?:(.)?([<>^=]))?([-+ ]?)(#?)(0?)([0-9]*)(,?)(?:\\.([0-9]+))?([a-zA-Z%]?)", Pattern.DOTALL);
    private static final Pattern FIELD = Pattern.compile(
            "([A-Za-z_0-9]*)((?:\\.[A-Za-z_][A-Za-z_0-9]*|\\[[^\\]]*\\])*)(?:!([rs]))?(?::(.*))?", Pattern.DOTALL);
    private static final int MOST = 10_000;

    private Formats() {}

    /** How a value is to be written: alignment {@code <>^=}, a fill, a sign, a width, a precision or -1, and a type. */
    private record Style(
            char align, String fill, String sign, boolean other, int width, boolean commas, int precision, char type) {}

    /** {@code format % arguments}. */
    static String percent(String format, @Nullable Object arguments) {
        boolean many = arguments instanceof Tuple;
        List<@Nullable Object> values = many ? Values.iterate(arguments) : List.of();
        int used = 0;
        int at = 0;
        StringBuilder out = new StringBuilder();
        for (int i = format.indexOf('%'); i >= 0; i = format.indexOf('%', at)) {
            out.append(format, at, i);
            Matcher m = PERCENT.matcher(format).region(i, format.length());
            if (!m.lookingAt()) {
                throw new JinjaException("ValueError: the format \"" + format + "\" is not supported");
            }
            at = m.end();
            char type = m.group(4).charAt(0);
            if (type == '%') {
                out.append('%');
                continue;
            }
            if (many ? used >= values.size() : used > 0) {
                throw new JinjaException("TypeError: not enough arguments for format string");
            }
            Object value = many ? values.get(used) : arguments;
            used++;
            String flags = m.group(1);
            boolean text = type == 's' || type == 'r' || type == 'c';
            char align = flags.indexOf('-') >= 0 ? '<' : !text && flags.indexOf('0') >= 0 ? '=' : '>';
            String sign = flags.indexOf('+') >= 0 ? "+" : flags.indexOf(' ') >= 0 ? " " : "";
            out.append(write(
                    type == 'i' || type == 'u' ? (Object) whole(value) : value,
                    new Style(
                            align,
                            align == '=' ? "0" : " ",
                            sign,
                            flags.indexOf('#') >= 0,
                            number(m.group(2)),
                            false,
                            m.group(3) == null ? -1 : number(m.group(3)),
                            type == 'i' || type == 'u' ? 'd' : type),
                    type == 'd'));
            Budget.length(out.length());
        }
        if (many && used < values.size()) {
            throw new JinjaException("TypeError: not all arguments converted during string formatting");
        }
        return out.append(format, at, format.length()).toString();
    }

    /** {@code format.format(positional, named)}. */
    static String format(String format, List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
        return new Replacement(positional, named).format(format, 0);
    }

    /** The arguments of one formatting, and how many of them were taken by their order. */
    private static final class Replacement {
        private final List<@Nullable Object> positional;
        private final Map<String, @Nullable Object> named;
        private int next;

        Replacement(List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
            this.positional = positional;
            this.named = named;
        }

        String format(String format, int depth) {
            StringBuilder out = new StringBuilder();
            for (int i = 0; i < format.length(); i++) {
                char c = format.charAt(i);
                boolean doubled = depth == 0 && i + 1 < format.length() && format.charAt(i + 1) == c;
                if (c != '{' && c != '}') {
                    out.append(c);
                } else if (doubled) {
                    out.append(c);
                    i++;
                } else {
                    int end = c == '{' ? closing(format, i) : -1;
                    if (end < 0 || depth > 1) {
                        throw new JinjaException("ValueError: the format \"" + format + "\" is not supported");
                    }
                    out.append(field(format.substring(i + 1, end), depth));
                    i = end;
                }
                Budget.length(out.length());
            }
            return out.toString();
        }

        private static int closing(String format, int from) {
            int depth = 0;
            for (int i = from; i < format.length(); i++) {
                depth += format.charAt(i) == '{' ? 1 : format.charAt(i) == '}' ? -1 : 0;
                if (depth == 0) {
                    return i;
                }
            }
            return -1;
        }

        private String field(String field, int depth) {
            Matcher m = FIELD.matcher(field);
            if (!m.matches()) {
                throw new JinjaException("ValueError: the field \"" + field + "\" of a format is not supported");
            }
            String name = m.group(1);
            Object value =
                    path(argument(name.isEmpty() ? String.valueOf(next++) : name, positional, named), m.group(2));
            if (m.group(3) != null) {
                value = m.group(3).equals("r") ? Values.representation(value) : Values.string(value);
            }
            return one(value, m.group(4) == null ? "" : format(m.group(4), depth + 1));
        }
    }

    private static @Nullable Object argument(
            String name, List<@Nullable Object> positional, Map<String, @Nullable Object> named) {
        if (name.chars().allMatch(Character::isDigit)) {
            int index = number(name);
            if (index >= positional.size()) {
                throw new JinjaException(
                        "IndexError: Replacement index " + index + " out of range for positional args tuple");
            }
            return positional.get(index);
        }
        if (!named.containsKey(name)) {
            throw new JinjaException("KeyError: '" + name + "'");
        }
        return named.get(name);
    }

    /** Follows {@code .name} and {@code [key]}. */
    private static @Nullable Object path(@Nullable Object from, String path) {
        Object value = from;
        for (int at = 0; at < path.length(); ) {
            boolean item = path.charAt(at) == '[';
            int end = at + 1;
            while (end < path.length()
                    && (item ? path.charAt(end) != ']' : path.charAt(end) != '.' && path.charAt(end) != '[')) {
                end++;
            }
            String key = path.substring(at + 1, end);
            boolean index = item && !key.isEmpty() && key.chars().allMatch(Character::isDigit);
            value = Operators.item(value, index ? (Object) (long) number(key) : key);
            at = item ? end + 1 : end;
        }
        return value;
    }

    private static String one(@Nullable Object value, String specification) {
        Matcher m = SPECIFICATION.matcher(specification);
        if (!m.matches()) {
            throw new JinjaException("ValueError: Invalid format specifier '" + specification + "'");
        }
        boolean numeric = value instanceof Long || value instanceof Double;
        boolean zeros = !m.group(5).isEmpty() && m.group(2) == null;
        char align = m.group(2) != null ? m.group(2).charAt(0) : zeros ? '=' : numeric ? '>' : '<';
        char type = m.group(9).isEmpty() ? '?' : m.group(9).charAt(0);
        if (specification.isEmpty()) {
            return Values.string(value);
        }
        if (value instanceof Long && m.group(8) != null && "?dxXob".indexOf(type) >= 0) {
            throw new JinjaException("ValueError: Precision not allowed in integer format specifier");
        }
        if (!numeric && (type != '?' && type != 's' && !(value instanceof Boolean) || align == '=')) {
            throw new JinjaException("ValueError: Unknown format code '" + type + "' for object of type '"
                    + Values.typeName(value) + "'");
        }
        return write(
                value,
                new Style(
                        align,
                        m.group(1) != null ? m.group(1) : zeros ? "0" : " ",
                        m.group(3),
                        !m.group(4).isEmpty(),
                        number(m.group(6)),
                        !m.group(7).isEmpty(),
                        m.group(8) == null ? -1 : number(m.group(8)),
                        type),
                false);
    }

    private static int number(String digits) {
        try {
            int value = digits.isEmpty() ? 0 : Integer.parseInt(digits);
            if (value <= MOST) {
                return value;
            }
        } catch (NumberFormatException e) {
            throw new JinjaException("ValueError: Too many decimal digits in format string", e);
        }
        throw new JinjaException("ValueError: a format asks for more than " + MOST + " characters");
    }

    private static long whole(@Nullable Object value) {
        return value instanceof Double d ? (long) (double) d : Values.integer(value, "a number to format");
    }

    private static String write(@Nullable Object value, Style style, boolean truncates) {
        char type = style.type;
        if (type == '?') {
            type = value instanceof Long ? 'd' : value instanceof Double && style.precision >= 0 ? 'g' : 's';
        }
        boolean negative = false;
        String prefix = "";
        String text;
        switch (type) {
            case 's', 'r', 'c' -> {
                text = type == 'c' && value instanceof Long code
                        ? character(code)
                        : type == 'r' ? Values.representation(value) : Values.string(value);
                if (style.precision >= 0) {
                    text = text.substring(
                            0, text.offsetByCodePoints(0, Math.min(style.precision, (int) Values.length(text))));
                }
            }
            case 'd', 'x', 'X', 'o', 'b' -> {
                long whole = truncates ? whole(value) : Values.integer(value, "a number to format");
                negative = whole < 0;
                text = digits(whole, type);
                text = "0".repeat(Math.max(0, style.precision - text.length())) + text;
                prefix = style.other && type != 'd' ? "0" + type : "";
            }
            case 'f', 'F', 'e', 'E', 'g', 'G', '%' -> {
                double number = value instanceof Double d ? d : Values.integer(value, "a number to format");
                negative = number < 0 || 1 / number < 0;
                text = decimal(Math.abs(number), style.type, style.precision < 0 ? 6 : style.precision);
                if (style.type == '?' && text.chars().allMatch(Character::isDigit)) {
                    text += ".0";
                }
            }
            default -> throw new JinjaException("ValueError: Unknown format code '" + type + "'");
        }
        if (style.commas) {
            text = grouped(text);
        }
        boolean signed = type != 's' && type != 'r' && type != 'c';
        String sign = (negative ? "-" : signed ? style.sign : "") + prefix;
        int missing = Math.max(0, style.width - sign.length() - (int) Values.length(text));
        return switch (style.align) {
            case '<' -> sign + text + style.fill.repeat(missing);
            case '^' -> style.fill.repeat(missing / 2) + sign + text + style.fill.repeat(missing - missing / 2);
            case '=' -> sign + style.fill.repeat(missing) + text;
            default -> style.fill.repeat(missing) + sign + text;
        };
    }

    private static String character(long code) {
        if (code < 0 || code > Character.MAX_CODE_POINT) {
            throw new JinjaException("OverflowError: a character's code is not in range(0x110000)");
        }
        return Character.toString((int) code);
    }

    /** Without its sign. */
    private static String digits(long number, char type) {
        String digits = switch (type) {
            case 'd' -> Long.toString(number);
            case 'x', 'X' -> Long.toString(number, 16);
            case 'o' -> Long.toString(number, 8);
            default -> Long.toString(number, 2);
        };
        digits = digits.startsWith("-") ? digits.substring(1) : digits;
        return type == 'X' ? digits.toUpperCase(Locale.ROOT) : digits;
    }

    private static String decimal(double number, char type, int precision) {
        if (Double.isNaN(number) || Double.isInfinite(number)) {
            String name = Double.isNaN(number) ? "nan" : "inf";
            return Character.isUpperCase(type) ? name.toUpperCase(Locale.ROOT) : name;
        }
        BigDecimal exact = new BigDecimal(number);
        String text = switch (type) {
            case 'f', 'F' -> exact.setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
            case '%' ->
                exact.movePointRight(2)
                                .setScale(precision, RoundingMode.HALF_EVEN)
                                .toPlainString() + "%";
            case 'e', 'E' -> scientific(exact, precision);
            default -> {
                int digits = Math.max(1, precision);
                BigDecimal rounded = exact.round(new MathContext(digits, RoundingMode.HALF_EVEN));
                int power = rounded.signum() == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
                int scientificFrom = type == '?' ? digits - 1 : digits; // without a type, ".0" keeps its place
                String plain = power < -4 || power >= scientificFrom
                        ? scientific(exact, digits - 1)
                        : rounded.setScale(Math.max(0, digits - 1 - power), RoundingMode.HALF_EVEN)
                                .toPlainString();
                yield withoutZeros(plain);
            }
        };
        return Character.isUpperCase(type) ? text.toUpperCase(Locale.ROOT) : text;
    }

    private static String scientific(BigDecimal exact, int precision) {
        BigDecimal rounded = exact.round(new MathContext(precision + 1, RoundingMode.HALF_EVEN));
        int power = rounded.signum() == 0 ? 0 : rounded.precision() - rounded.scale() - 1;
        String mantissa = rounded.movePointLeft(power)
                .setScale(precision, RoundingMode.HALF_EVEN)
                .toPlainString();
        return mantissa + "e" + (power < 0 ? "-" : "+") + (Math.abs(power) < 10 ? "0" : "") + Math.abs(power);
    }

    private static String withoutZeros(String text) {
        int exponent = text.indexOf('e');
        String mantissa = exponent < 0 ? text : text.substring(0, exponent);
        if (mantissa.indexOf('.') >= 0) {
            mantissa = mantissa.replaceFirst("\\.?0+$", "");
        }
        return mantissa + (exponent < 0 ? "" : text.substring(exponent));
    }

    private static String grouped(String text) {
        int end = text.indexOf('.') < 0 ? text.length() : text.indexOf('.');
        StringBuilder out = new StringBuilder(text);
        for (int i = end - 3; i > 0; i -= 3) {
            out.insert(i, ',');
        }
        return out.toString();
    }
}
