package dev.demitasse.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Executes a parsed template. One instance renders once. */
final class Interpreter {
    /** How a list of statements ended. */
    private enum Flow {
        NORMAL,
        BREAK,
        CONTINUE
    }

    private final Budget budget = new Budget();
    private StringBuilder out = new StringBuilder();

    String render(List<Statement> statements, Scope globals) {
        budget.use();
        try {
            execute(statements, globals);
            return out.toString();
        } finally {
            Budget.done();
        }
    }

    private Flow execute(List<Statement> statements, Scope scope) {
        for (Statement statement : statements) {
            Flow flow = execute(statement, scope);
            if (flow != Flow.NORMAL) {
                return flow;
            }
        }
        return Flow.NORMAL;
    }

    private Flow execute(Statement statement, Scope scope) {
        budget.step();
        Budget.length(out.length());
        switch (statement) {
            case Statement.Text text -> out.append(text.text());
            case Statement.Output output -> out.append(Values.string(evaluate(output.value(), scope)));
            case Statement.If conditional -> {
                return branch(conditional, scope);
            }
            case Statement.For loop -> loop(loop, scope);
            case Statement.Set set -> assign(set.names(), evaluate(set.value(), scope), scope);
            case Statement.SetAttribute set -> setAttribute(set, scope);
            case Statement.SetBlock block -> scope.set(block.name(), filtered(block.filtered(), block.body(), scope));
            case Statement.FilterBlock block ->
                out.append(Values.string(filtered(block.filtered(), block.body(), scope)));
            case Statement.With with -> {
                Scope inner = new Scope(scope);
                for (int i = 0; i < with.names().size(); i++) {
                    inner.set(with.names().get(i), evaluate(with.values().get(i), scope));
                }
                return execute(with.body(), inner);
            }
            case Statement.Macro macro -> scope.set(macro.name(), callable(macro, scope));
            case Statement.CallBlock block -> {
                Map<String, @Nullable Object> named = named(block.call().arguments(), scope);
                named.put("caller", callable(block.caller(), scope));
                out.append(Values.string(call(block.call(), named, scope)));
            }
            case Statement.Group group -> {
                return execute(group.body(), scope);
            }
            case Statement.Break ignored -> {
                return Flow.BREAK;
            }
            case Statement.Continue ignored -> {
                return Flow.CONTINUE;
            }
        }
        return Flow.NORMAL;
    }

    private Flow branch(Statement.If conditional, Scope scope) {
        for (int i = 0; i < conditional.conditions().size(); i++) {
            Expression condition = conditional.conditions().get(i);
            if (condition == null || Values.truthy(evaluate(condition, scope))) {
                return execute(conditional.branches().get(i), scope);
            }
        }
        return Flow.NORMAL;
    }

    private void setAttribute(Statement.SetAttribute set, Scope scope) {
        if (!(scope.get(set.target()) instanceof Namespace namespace)) {
            throw new JinjaException("TemplateRuntimeError: cannot assign attribute on non-namespace object");
        }
        namespace.attributes.put(set.attribute(), evaluate(set.value(), scope));
    }

    private Callable callable(Statement.Macro macro, Scope scope) {
        return (positional, named) -> callMacro(macro, scope, positional, named);
    }

    /** A block's text after its filters. */
    private @Nullable Object filtered(Expression filters, List<Statement> body, Scope scope) {
        Scope inner = new Scope(scope);
        inner.set(Statement.BODY, capture(body, new Scope(scope)));
        return evaluate(filters, inner);
    }

    private String capture(List<Statement> body, Scope scope) {
        StringBuilder before = out;
        out = new StringBuilder();
        execute(body, scope);
        String captured = out.toString();
        out = before;
        return captured;
    }

    private void assign(List<String> names, @Nullable Object value, Scope scope) {
        if (names.size() == 1) {
            scope.set(names.getFirst(), value);
            return;
        }
        List<@Nullable Object> values = Values.iterate(value);
        if (values.size() != names.size()) {
            throw new JinjaException("ValueError: " + values.size() + " values for " + names.size() + " names");
        }
        for (int i = 0; i < names.size(); i++) {
            scope.set(names.get(i), values.get(i));
        }
    }

    private void loop(Statement.For loop, Scope scope) {
        loop(loop, evaluate(loop.iterable(), scope), 0, scope);
    }

    private void loop(Statement.For loop, @Nullable Object iterated, int depth, Scope scope) {
        Object iterable = SafeText.plain(iterated);
        List<@Nullable Object> items = new ArrayList<>();
        Expression condition = loop.condition();
        budget.charge(iterable);
        for (Object item : Values.iterate(iterable)) {
            budget.step();
            Scope inner = new Scope(scope);
            assign(loop.names(), item, inner);
            if (condition == null || Values.truthy(evaluate(condition, inner))) {
                items.add(item);
            }
        }
        if (items.isEmpty()) {
            execute(loop.otherwise(), new Scope(scope));
            return;
        }
        Loop variable = new Loop(items, depth, loop.recursive() ? (more, at) -> recurse(loop, more, at, scope) : null);
        for (Object item : items) {
            Scope inner = new Scope(scope);
            budget.step();
            variable.next();
            inner.set("loop", variable);
            assign(loop.names(), item, inner);
            if (execute(loop.body(), inner) == Flow.BREAK) {
                return;
            }
        }
    }

    private String recurse(Statement.For loop, @Nullable Object items, int depth, Scope scope) {
        budget.enter();
        StringBuilder before = out;
        out = new StringBuilder();
        loop(loop, items, depth, scope);
        String text = out.toString();
        out = before;
        budget.leave();
        return text;
    }

    private Object callMacro(
            Statement.Macro macro,
            Scope defined,
            List<@Nullable Object> positional,
            Map<String, @Nullable Object> named) {
        budget.enter();
        Scope scope = new Scope(defined);
        List<String> parameters = macro.parameters();
        if (macro.asks().contains("varargs")) {
            int taken = Math.min(parameters.size(), positional.size());
            scope.set("varargs", new Tuple(new ArrayList<>(positional.subList(taken, positional.size()))));
        } else if (positional.size() > parameters.size()) {
            throw new JinjaException("TypeError: macro '" + macro.name() + "' takes not more than " + parameters.size()
                    + " argument(s)");
        }
        Map<String, @Nullable Object> others = new LinkedHashMap<>(named);
        others.keySet().removeAll(parameters);
        if (macro.asks().contains("caller") && !parameters.contains("caller")) {
            scope.set("caller", others.containsKey("caller") ? others.remove("caller") : new Undefined("caller"));
        }
        if (macro.asks().contains("kwargs")) {
            scope.set("kwargs", others);
        } else {
            for (String name : others.keySet()) {
                throw new JinjaException(
                        "TypeError: macro '" + macro.name() + "' takes no keyword argument '" + name + "'");
            }
        }
        for (int i = 0; i < parameters.size(); i++) {
            String name = parameters.get(i);
            Expression otherwise = macro.defaults().get(i);
            Object value = i < positional.size()
                    ? positional.get(i)
                    : named.containsKey(name)
                            ? named.get(name)
                            : otherwise != null ? evaluate(otherwise, scope) : new Undefined(name);
            scope.set(name, value);
        }
        String result = capture(macro.body(), scope);
        budget.leave();
        return result;
    }

    private @Nullable Object evaluate(Expression expression, Scope scope) {
        budget.step();
        return switch (expression) {
            case Expression.Literal literal -> literal.value();
            case Expression.Variable variable -> scope.get(variable.name());
            case Expression.ListOf list -> evaluateAll(list.items(), scope);
            case Expression.TupleOf tuple -> new Tuple(evaluateAll(tuple.items(), scope));
            case Expression.DictOf dict -> {
                Map<@Nullable Object, @Nullable Object> map = new LinkedHashMap<>();
                for (int i = 0; i < dict.keys().size(); i++) {
                    map.put(
                            Values.key(evaluate(dict.keys().get(i), scope)),
                            evaluate(dict.values().get(i), scope));
                }
                yield map;
            }
            case Expression.Attribute attribute ->
                attribute(SafeText.plain(evaluate(attribute.target(), scope)), attribute.name());
            case Expression.Item item ->
                item(SafeText.plain(evaluate(item.target(), scope)), evaluate(item.key(), scope));
            case Expression.Slice slice ->
                Operators.slice(
                        SafeText.plain(evaluate(slice.target(), scope)),
                        evaluateOrNull(slice.from(), scope),
                        evaluateOrNull(slice.to(), scope),
                        evaluateOrNull(slice.step(), scope));
            case Expression.Call call -> call(call, named(call.arguments(), scope), scope);
            case Expression.Filter filter -> {
                Object target = evaluate(filter.target(), scope);
                budget.charge(target);
                Object result = Filters.apply(
                        filter.name(),
                        target,
                        evaluateAll(filter.arguments().positional(), scope),
                        named(filter.arguments(), scope),
                        filter.line());
                budget.charge(result);
                yield result;
            }
            case Expression.Test test -> {
                boolean result = Tests.apply(
                        test.name(),
                        SafeText.plain(evaluate(test.target(), scope)),
                        evaluateAll(test.arguments(), scope),
                        test.line());
                yield result != test.negated();
            }
            case Expression.Unary unary -> unary(unary.operator(), evaluate(unary.operand(), scope));
            case Expression.Binary binary -> binary(binary, scope);
            case Expression.Comparison comparison -> comparison(comparison, scope);
            case Expression.Conditional conditional -> {
                if (Values.truthy(evaluate(conditional.condition(), scope))) {
                    yield evaluate(conditional.then(), scope);
                }
                Expression otherwise = conditional.otherwise();
                yield otherwise == null ? new Undefined("the else of an inline if") : evaluate(otherwise, scope);
            }
        };
    }

    private @Nullable Object evaluateOrNull(@Nullable Expression expression, Scope scope) {
        return expression == null ? null : evaluate(expression, scope);
    }

    private List<@Nullable Object> evaluateAll(List<Expression> expressions, Scope scope) {
        List<@Nullable Object> values = new ArrayList<>(expressions.size());
        for (Expression expression : expressions) {
            values.add(evaluate(expression, scope));
        }
        return values;
    }

    private Map<String, @Nullable Object> named(Expression.Arguments arguments, Scope scope) {
        Map<String, @Nullable Object> named = new LinkedHashMap<>();
        for (int i = 0; i < arguments.names().size(); i++) {
            named.put(arguments.names().get(i), evaluate(arguments.named().get(i), scope));
        }
        return named;
    }

    /** {@code target.name}: of a dictionary a method comes before a key, as in Python. */
    private static @Nullable Object attribute(@Nullable Object target, String name) {
        if (target instanceof Undefined u) {
            throw Values.undefined(u);
        }
        Callable method = Methods.find(target, name);
        return method != null ? method : Operators.item(target, name);
    }

    /** {@code target[key]}: of a dictionary a key comes before a method. */
    private static @Nullable Object item(@Nullable Object target, @Nullable Object key) {
        Object found = Operators.item(target, key);
        if (found instanceof Undefined && key instanceof String name) {
            Callable method = Methods.find(target, name);
            return method != null ? method : found;
        }
        return found;
    }

    private @Nullable Object call(Expression.Call call, Map<String, @Nullable Object> named, Scope scope) {
        Object function = evaluate(call.function(), scope);
        if (function instanceof Undefined u) {
            throw Values.undefined(u);
        }
        if (!(function instanceof Callable callable)) {
            throw new JinjaException("TypeError: '" + Values.typeName(function) + "' object is not callable");
        }
        Object result = callable.call(evaluateAll(call.arguments().positional(), scope), named);
        budget.charge(result);
        return result;
    }

    private static @Nullable Object unary(String operator, @Nullable Object operand) {
        if (operator.equals("not")) {
            return !Values.truthy(operand);
        }
        if (operator.equals("-") && operand instanceof Double number) {
            return -number; // 0 - 0.0 would lose the sign of zero
        }
        return Operators.binary(operator, 0L, operand);
    }

    private @Nullable Object binary(Expression.Binary binary, Scope scope) {
        Object left = evaluate(binary.left(), scope);
        return switch (binary.operator()) {
            case "and" -> Values.truthy(left) ? evaluate(binary.right(), scope) : left;
            case "or" -> Values.truthy(left) ? left : evaluate(binary.right(), scope);
            case "~" -> {
                String a = Values.string(left);
                String b = Values.string(evaluate(binary.right(), scope));
                Budget.length((long) a.length() + b.length());
                budget.charge(a);
                budget.charge(b);
                yield a + b;
            }
            default -> {
                Object result = Operators.binary(binary.operator(), left, evaluate(binary.right(), scope));
                budget.charge(result);
                yield result;
            }
        };
    }

    private boolean comparison(Expression.Comparison comparison, Scope scope) {
        Object left = SafeText.plain(evaluate(comparison.first(), scope));
        for (int i = 0; i < comparison.operators().size(); i++) {
            Object right = SafeText.plain(evaluate(comparison.operands().get(i), scope));
            if (!compare(comparison.operators().get(i), left, right)) {
                return false;
            }
            left = right;
        }
        return true;
    }

    static boolean compare(String operator, @Nullable Object left, @Nullable Object right) {
        return switch (operator) {
            case "==" -> Values.equal(left, right);
            case "!=" -> !Values.equal(left, right);
            case "in" -> Values.contains(right, left);
            case "not in" -> !Values.contains(right, left);
            default -> {
                if (left instanceof Undefined u) {
                    throw Values.undefined(u);
                }
                if (right instanceof Undefined u) {
                    throw Values.undefined(u);
                }
                int order = Values.compare(left, right);
                yield switch (operator) {
                    case "<" -> order < 0;
                    case "<=" -> order <= 0;
                    case ">" -> order > 0;
                    default -> order >= 0;
                };
            }
        };
    }
}
