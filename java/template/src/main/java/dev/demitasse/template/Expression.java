package dev.demitasse.template;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** An expression of a template. */
sealed interface Expression {
    /** A string, number, boolean or none (null). */
    record Literal(@Nullable Object value) implements Expression {}

    /** A variable. */
    record Variable(String name) implements Expression {}

    /** {@code [a, b]}. */
    record ListOf(List<Expression> items) implements Expression {}

    /** {@code (a, b)}. */
    record TupleOf(List<Expression> items) implements Expression {}

    /** <code>{a: b}</code>. */
    record DictOf(List<Expression> keys, List<Expression> values) implements Expression {}

    /** {@code target.name}. */
    record Attribute(Expression target, String name) implements Expression {}

    /** {@code target[key]}. */
    record Item(Expression target, Expression key) implements Expression {}

    /** {@code target[from:to:step]}. */
    record Slice(
            Expression target,
            @Nullable Expression from,
            @Nullable Expression to,
            @Nullable Expression step) implements Expression {}

    /** {@code function(arguments)}. */
    record Call(Expression function, Arguments arguments) implements Expression {}

    /** {@code target | name(arguments)}. */
    record Filter(Expression target, String name, Arguments arguments, int line) implements Expression {}

    /** {@code target is name(arguments)}, negated or not. */
    record Test(Expression target, String name, List<Expression> arguments, boolean negated, int line)
            implements Expression {}

    /** {@code not e}, {@code -e}, {@code +e}. */
    record Unary(String operator, Expression operand) implements Expression {}

    /** Arithmetic, {@code ~}, {@code and}, {@code or}. */
    record Binary(String operator, Expression left, Expression right) implements Expression {}

    /** A chain of comparisons: {@code first op[0] operand[0] op[1] operand[1] …}. */
    record Comparison(Expression first, List<String> operators, List<Expression> operands) implements Expression {}

    /** {@code then if condition else otherwise}. */
    record Conditional(
            Expression condition, Expression then, @Nullable Expression otherwise) implements Expression {}

    /** Positional and named arguments. */
    record Arguments(List<Expression> positional, List<String> names, List<Expression> named) {
        static final Arguments NONE = new Arguments(List.of(), List.of(), List.of());
    }
}
