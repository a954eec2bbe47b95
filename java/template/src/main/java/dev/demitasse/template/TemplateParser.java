package dev.demitasse.template;

import dev.demitasse.template.Token.Kind;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Parses the statements of a template. */
final class TemplateParser extends ExpressionParser {
    private TemplateParser(List<Token> tokens) {
        super(tokens);
    }

    static List<Statement> parse(String template) {
        TemplateParser parser = new TemplateParser(TemplateLexer.tokens(template));
        List<Statement> statements = parser.statements(Set.of());
        if (parser.peek().kind() != Kind.END) {
            throw bad(parser.peek(), "a tag that was begun");
        }
        return statements;
    }

    /** Statements up to a block tag with one of the names, which stays. */
    private List<Statement> statements(Set<String> ends) {
        enter();
        List<Statement> statements = new ArrayList<>();
        while (true) {
            Token token = peek();
            switch (token.kind()) {
                case TEXT -> statements.add(new Statement.Text(take().text()));
                case OUTPUT_BEGIN -> {
                    take();
                    statements.add(new Statement.Output(tupleOrExpression()));
                    expect(Kind.TAG_END, null);
                }
                case BLOCK_BEGIN -> {
                    take();
                    if (ends.contains(peek().text())) {
                        leave();
                        return statements;
                    }
                    statements.add(block());
                }
                case END -> {
                    if (!ends.isEmpty()) {
                        throw bad(token, "one of " + ends);
                    }
                    leave();
                    return statements;
                }
                default -> throw bad(token, "text or a tag");
            }
        }
    }

    private Statement block() {
        Token name = expect(Kind.NAME, null);
        return switch (name.text()) {
            case "if" -> conditional();
            case "for" -> loop();
            case "set" -> set();
            case "macro" -> macro();
            case "call" -> call();
            case "with" -> with();
            case "filter" -> {
                Token filter = peek();
                if (filter.kind() != Kind.NAME) {
                    throw bad(filter, "a filter");
                }
                Expression filtered = filtersOfBody(true);
                expect(Kind.TAG_END, null);
                yield new Statement.FilterBlock(filtered, body("endfilter"));
            }
            case "generation" -> {
                expect(Kind.TAG_END, null);
                yield new Statement.Group(body("endgeneration"));
            }
            case "break" -> {
                expect(Kind.TAG_END, null);
                yield new Statement.Break();
            }
            case "continue" -> {
                expect(Kind.TAG_END, null);
                yield new Statement.Continue();
            }
            default -> throw bad(name, "if, for, set, macro, call, filter, with, raw, break or continue");
        };
    }

    /** Statements up to the tag {@code end}, which is taken. */
    private List<Statement> body(String end) {
        List<Statement> body = statements(Set.of(end));
        take();
        expect(Kind.TAG_END, null);
        return body;
    }

    private Statement conditional() {
        List<@Nullable Expression> conditions = new ArrayList<>();
        List<List<Statement>> branches = new ArrayList<>();
        conditions.add(tupleOrExpression());
        expect(Kind.TAG_END, null);
        while (true) {
            branches.add(statements(Set.of("elif", "else", "endif")));
            Token tag = take();
            if (tag.text().equals("elif")) {
                conditions.add(tupleOrExpression());
            } else if (tag.text().equals("else")) {
                conditions.add(null);
            }
            expect(Kind.TAG_END, null);
            if (tag.text().equals("endif")) {
                return new Statement.If(conditions, branches);
            }
        }
    }

    private Statement loop() {
        List<String> names = names();
        expect(Kind.NAME, "in");
        Expression iterable = or();
        if (at(Kind.OPERATOR, ",")) {
            List<Expression> items = new ArrayList<>(List.of(iterable));
            while (operator(",") && peek().kind() != Kind.TAG_END) {
                items.add(or());
            }
            iterable = new Expression.TupleOf(items);
        }
        Expression condition = accept(Kind.NAME, "if") ? expression() : null;
        boolean recursive = accept(Kind.NAME, "recursive");
        expect(Kind.TAG_END, null);
        List<Statement> body = statements(Set.of("else", "endfor"));
        List<Statement> otherwise = List.of();
        Token tag = take();
        expect(Kind.TAG_END, null);
        if (tag.text().equals("else")) {
            otherwise = body("endfor");
        }
        return new Statement.For(names, iterable, condition, recursive, body, otherwise);
    }

    private List<String> names() {
        List<String> names = new ArrayList<>();
        boolean parenthesised = operator("(");
        do {
            names.add(expect(Kind.NAME, null).text());
        } while (operator(","));
        if (parenthesised) {
            expect(Kind.OPERATOR, ")");
        }
        return names;
    }

    private Statement set() {
        List<String> names = names();
        if (names.size() == 1 && operator(".")) {
            String attribute = expect(Kind.NAME, null).text();
            expect(Kind.OPERATOR, "=");
            Expression value = tupleOrExpression();
            expect(Kind.TAG_END, null);
            return new Statement.SetAttribute(names.getFirst(), attribute, value);
        }
        if (operator("=")) {
            Expression value = tupleOrExpression();
            expect(Kind.TAG_END, null);
            return new Statement.Set(names, value);
        }
        Expression filtered = filtersOfBody(false);
        expect(Kind.TAG_END, null);
        return new Statement.SetBlock(names.getFirst(), filtered, body("endset"));
    }

    /** Filters of a block's text; the first one stands without a bar where {@code inline}. */
    private Expression filtersOfBody(boolean inline) {
        Expression body = new Expression.Variable(Statement.BODY);
        if (inline) {
            Token name = expect(Kind.NAME, null);
            Expression.Arguments arguments = operator("(") ? arguments() : Expression.Arguments.NONE;
            body = new Expression.Filter(body, name.text(), arguments, name.line());
        }
        return filtersAndTests(body);
    }

    private Statement with() {
        List<String> variables = new ArrayList<>();
        List<Expression> values = new ArrayList<>();
        while (peek().kind() != Kind.TAG_END) {
            variables.add(expect(Kind.NAME, null).text());
            expect(Kind.OPERATOR, "=");
            values.add(expression());
            if (!operator(",")) {
                break;
            }
        }
        expect(Kind.TAG_END, null);
        return new Statement.With(variables, values, body("endwith"));
    }

    private Statement call() {
        List<String> parameters = new ArrayList<>();
        List<@Nullable Expression> defaults = new ArrayList<>();
        if (operator("(")) {
            parameters(parameters, defaults);
        }
        Token begin = peek();
        if (!(expression() instanceof Expression.Call call)) {
            throw bad(begin, "a call of a macro");
        }
        expect(Kind.TAG_END, null);
        return new Statement.CallBlock(macro("caller", parameters, defaults, "endcall"), call);
    }

    private Statement macro() {
        String name = expect(Kind.NAME, null).text();
        List<String> parameters = new ArrayList<>();
        List<@Nullable Expression> defaults = new ArrayList<>();
        expect(Kind.OPERATOR, "(");
        parameters(parameters, defaults);
        expect(Kind.TAG_END, null);
        return macro(name, parameters, defaults, "endmacro");
    }

    /** A macro whose head has been parsed. */
    private Statement.Macro macro(
            String name, List<String> parameters, List<@Nullable Expression> defaults, String end) {
        Set<String> outside = new HashSet<>(names);
        names.clear();
        List<Statement> body = body(end);
        Set<String> asks = new HashSet<>(names);
        asks.retainAll(Set.of("varargs", "kwargs", "caller"));
        names.addAll(outside);
        return new Statement.Macro(name, parameters, defaults, asks, body);
    }

    private void parameters(List<String> parameters, List<@Nullable Expression> defaults) {
        while (!operator(")")) {
            parameters.add(expect(Kind.NAME, null).text());
            defaults.add(operator("=") ? expression() : null);
            if (!operator(",")) {
                expect(Kind.OPERATOR, ")");
                break;
            }
        }
    }
}
