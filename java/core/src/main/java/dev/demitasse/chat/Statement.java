package dev.demitasse.chat;

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

    /** <code>{% for names in iterable if condition %} body {% else %} otherwise</code>. */
    record For(
            List<String> names,
            Expression iterable,
            @Nullable Expression condition,
            List<Statement> body,
            List<Statement> otherwise)
            implements Statement {}

    /** <code>{% set names = value %}</code>. */
    record Set(List<String> names, Expression value) implements Statement {}

    /** <code>{% set target.attribute = value %}</code>, for namespaces. */
    record SetAttribute(String target, String attribute, Expression value) implements Statement {}

    /** <code>{% set name %} body {% endset %}</code>. */
    record SetBlock(String name, List<Statement> body) implements Statement {}

    /** <code>{% macro name(parameters) %}</code>; a parameter without default has null. */
    record Macro(String name, List<String> parameters, List<@Nullable Expression> defaults, List<Statement> body)
            implements Statement {}

    /** <code>{% generation %} body {% endgeneration %}</code>: marks the assistant's text for training; no effect here. */
    record Group(List<Statement> body) implements Statement {}

    /** <code>{% break %}</code>. */
    record Break() implements Statement {}

    /** <code>{% continue %}</code>. */
    record Continue() implements Statement {}
}
