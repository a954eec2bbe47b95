package dev.demitasse.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Arithmetic, subscripts and slices, with Python's semantics. */
final class Operators {
    private Operators() {}

    static @Nullable Object binary(String operator, @Nullable Object left, @Nullable Object right) {
        if (left instanceof Undefined u) {
            throw Values.undefined(u);
        }
        if (right instanceof Undefined u) {
            throw Values.undefined(u);
        }
        if (operator.equals("+") && (left instanceof SafeText || right instanceof SafeText)) {
            return SafeText.add(left, right);
        }
        if (operator.equals("+")) {
            if (left instanceof String a) {
                if (!(right instanceof String b)) {
                    throw new JinjaException(
                            "TypeError: can only concatenate str (not \"" + Values.typeName(right) + "\") to str");
                }
                Budget.length((long) a.length() + b.length());
                return a.concat(b);
            }
            if (left instanceof List<?> a && right instanceof List<?> b && a instanceof Tuple == b instanceof Tuple) {
                Budget.length((long) a.size() + b.size());
                List<@Nullable Object> sum = new ArrayList<>(a);
                sum.addAll(b);
                return a instanceof Tuple ? new Tuple(sum) : sum;
            }
        }
        if (operator.equals("*")) {
            if (left instanceof String text && right instanceof Long count) {
                Budget.length(Math.multiplyHigh(text.length(), count) > 0 ? Long.MAX_VALUE : text.length() * count);
                return text.repeat((int) Math.max(0, count));
            }
            if (left instanceof Long count && right instanceof String text) {
                return binary("*", text, count);
            }
        }
        if (operator.equals("*") && left instanceof List<?> items && right instanceof Long count) {
            return repeated(items, count);
        }
        if (operator.equals("*") && left instanceof Long count && right instanceof List<?> items) {
            return repeated(items, count);
        }
        if (operator.equals("%") && left instanceof String format) {
            return Formats.percent(format, right);
        }
        Object a = left instanceof Boolean b ? (Object) (b ? 1L : 0L) : left;
        Object b = right instanceof Boolean c ? (Object) (c ? 1L : 0L) : right;
        if (a instanceof Long x && b instanceof Long y) {
            return integers(operator, x, y);
        }
        if (a instanceof Number x && b instanceof Number y) {
            return doubles(operator, x.doubleValue(), y.doubleValue());
        }
        throw new JinjaException("TypeError: unsupported operand type(s) for " + operator + ": '"
                + Values.typeName(left) + "' and '" + Values.typeName(right) + "'");
    }

    private static Object integers(String operator, long x, long y) {
        try {
            return switch (operator) {
                case "+" -> Math.addExact(x, y);
                case "-" -> Math.subtractExact(x, y);
                case "*" -> Math.multiplyExact(x, y);
                case "/" -> {
                    nonZero(y);
                    yield (double) x / y;
                }
                case "//" -> {
                    nonZero(y);
                    yield Math.floorDiv(x, y);
                }
                case "%" -> {
                    nonZero(y);
                    yield Math.floorMod(x, y);
                }
                default -> y < 0 || y > 1000 ? (Object) Math.pow(x, y) : (Object) power(x, y);
            };
        } catch (ArithmeticException e) {
            throw new JinjaException("The chat template computes an integer of more than 64 bits.", e);
        }
    }

    private static long power(long base, long exponent) {
        long result = 1;
        for (long i = 0; i < exponent; i++) {
            result = Math.multiplyExact(result, base);
        }
        return result;
    }

    private static void nonZero(double y) {
        if (y == 0) {
            throw new JinjaException("ZeroDivisionError: division by zero");
        }
    }

    private static Object doubles(String operator, double x, double y) {
        return switch (operator) {
            case "+" -> x + y;
            case "-" -> x - y;
            case "*" -> x * y;
            case "/" -> {
                nonZero(y);
                yield x / y;
            }
            case "//" -> {
                nonZero(y);
                yield Math.floor(x / y);
            }
            case "%" -> {
                nonZero(y);
                yield x - Math.floor(x / y) * y;
            }
            default -> Math.pow(x, y);
        };
    }

    private static List<@Nullable Object> repeated(List<?> items, long times) {
        long count = items.isEmpty() ? 0 : times;
        Budget.length(
                count > 0 && items.size() > Budget.MAXIMUM_LENGTH / count ? Long.MAX_VALUE : items.size() * count);
        List<@Nullable Object> all = new ArrayList<>();
        for (long i = 0; i < count; i++) {
            all.addAll(items);
        }
        return items instanceof Tuple ? new Tuple(all) : all;
    }

    /** {@code target[key]}; what is not there is {@link Undefined}. */
    static @Nullable Object item(@Nullable Object target, @Nullable Object key) {
        return switch (target) {
            case Undefined u -> throw Values.undefined(u);
            case Map<?, ?> map ->
                Values.hashable(key) && map.containsKey(key) ? map.get(key) : new Undefined(Values.string(key));
            case Namespace namespace
            when key instanceof String name ->
                namespace.attributes.containsKey(name) ? namespace.attributes.get(name) : new Undefined(name);
            case Loop loop when key instanceof String name -> loop.attribute(name);
            case Tuple tuple when key instanceof String name -> tuple.named(name);
            case List<?> list
            when key instanceof Long index -> {
                long at = index < 0 ? index + list.size() : index;
                yield at >= 0 && at < list.size() ? list.get((int) at) : new Undefined("list item " + index);
            }
            case String text
            when key instanceof Long index -> {
                int length = text.codePointCount(0, text.length());
                long at = index < 0 ? index + length : index;
                yield at >= 0 && at < length
                        ? Character.toString(text.codePointAt(text.offsetByCodePoints(0, (int) at)))
                        : new Undefined("character " + index);
            }
            case null, default -> new Undefined(Values.string(key));
        };
    }

    /** {@code target[from:to:step]} of a string or list. */
    static Object slice(
            @Nullable Object target, @Nullable Object from, @Nullable Object to, @Nullable Object stepValue) {
        if (target instanceof Undefined u) {
            throw Values.undefined(u);
        }
        if (!(target instanceof String) && !(target instanceof List<?>)) {
            throw new JinjaException("TypeError: '" + Values.typeName(target) + "' object is not subscriptable");
        }
        List<@Nullable Object> items = Values.iterate(target);
        int n = items.size();
        long step = stepValue == null ? 1 : Values.integer(stepValue, "a slice's step");
        if (step == 0) {
            throw new JinjaException("ValueError: slice step cannot be zero");
        }
        long begin = bound(from, n, step > 0 ? 0 : n - 1, step);
        long end = bound(to, n, step > 0 ? n : -1, step);
        if (target instanceof Range range) {
            return range.slice(begin, end, step);
        }
        List<@Nullable Object> result = new ArrayList<>();
        for (long i = begin; step > 0 ? i < end : i > end; i += step) {
            result.add(items.get((int) i));
        }
        if (target instanceof Tuple) {
            return new Tuple(result);
        }
        if (target instanceof List<?>) {
            return result;
        }
        StringBuilder text = new StringBuilder();
        result.forEach(text::append);
        return text.toString();
    }

    private static long bound(@Nullable Object value, int n, long otherwise, long step) {
        if (value == null) {
            return otherwise;
        }
        long at = Values.integer(value, "a slice's bound");
        at = at < 0 ? at + n : at;
        return step > 0 ? Math.clamp(at, 0, n) : Math.clamp(at, -1, n - 1);
    }
}
