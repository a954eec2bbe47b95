package dev.demitasse.template;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** A statement of a template. */
sealed interface Statement {
    /** Text as it stands. */
    record Text(String text) implements Statement {}

    /** <code>{{ value }}</code>. */
    record Output(Expression value) implements Statement {}

    /** <code>{% if %}</code>: the first branch whose condition is true; the last condition may be null (else). */
    record If(List<@Nullable Expression> conditions, List<List<Statement>> branches) implements Statement {}

    /** <code>{% for names in iterable if condition recursive %} body {% else %} otherwise</code>. */
    record For(
            List<String> names,
            Expression iterable,
            @Nullable Expression condition,
            boolean recursive,
            List<Statement> body,
            List<Statement> otherwise)
            implements Statement {}

    /** <code>{% set names = value %}</code>. */
    record Set(List<String> names, Expression value) implements Statement {}

    /** <code>{% set target.attribute = value %}</code>, for namespaces. */
    record SetAttribute(String target, String attribute, Expression value) implements Statement {}

    /** <code>{% set name | filters %} body {% endset %}</code>; {@code filtered} is of the variable {@link #BODY}. */
    record SetBlock(String name, Expression filtered, List<Statement> body) implements Statement {}

    /** <code>{% filter filters %} body {% endfilter %}</code>; {@code filtered} is of the variable {@link #BODY}. */
    record FilterBlock(Expression filtered, List<Statement> body) implements Statement {}

    /** The variable that a block's text is while filters are applied to it; no template can name it. */
    String BODY = "<body>";

    /** <code>{% with names = values %} body {% endwith %}</code>. */
    record With(List<String> names, List<Expression> values, List<Statement> body) implements Statement {}

    /** <code>{% call(parameters) call %} body {% endcall %}</code>; {@code caller} is a macro of the body. */
    record CallBlock(Macro caller, Expression.Call call) implements Statement {}

    /**
     * <code>{% macro name(parameters) %}</code>; a parameter without default has null.
     *
     * @param asks which of {@code varargs}, {@code kwargs} and {@code caller} the body asks for
     */
    record Macro(
            String name,
            List<String> parameters,
            List<@Nullable Expression> defaults,
            java.util.Set<String> asks,
            List<Statement> body)
            implements Statement {}

    /**
     * <code>{% generation %} body {% endgeneration %}</code>: marks the assistant's text for training; no effect here.
     */
    record Group(List<Statement> body) implements Statement {}

    /** <code>{% break %}</code>. */
    record Break() implements Statement {}

    /** <code>{% continue %}</code>. */
    record Continue() implements Statement {}
}
