package dev.demitasse.template;

import dev.demitasse.template.Token.Kind;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Parses expressions by recursive descent, with the precedences of Jinja2. */
class ExpressionParser {
    private static final int MAXIMUM_DEPTH = 200;
    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", ">", "<=", ">=");
    private static final Set<String> KEYWORDS = Set.of("and", "or", "not", "if", "else", "in", "is");

    private final List<Token> tokens;
    private int next;
    private int depth;
    /** Variables met so far; a macro takes more arguments than it names where its body asks for them. */
    final Set<String> names = new HashSet<>();

    ExpressionParser(List<Token> tokens) {
        this.tokens = tokens;
    }

    final Token peek() {
        return tokens.get(next);
    }

    final Token take() {
        return tokens.get(next++);
    }

    final boolean at(Kind kind, String text) {
        return peek().is(kind, text);
    }

    final boolean accept(Kind kind, String text) {
        boolean found = at(kind, text);
        if (found) {
            next++;
        }
        return found;
    }

    final boolean operator(String text) {
        return accept(Kind.OPERATOR, text);
    }

    final Token expect(Kind kind, @Nullable String text) {
        Token token = take();
        if (token.kind() != kind || text != null && !token.text().equals(text)) {
            throw bad(token, text == null ? kind.name() : "\"" + text + "\"");
        }
        return token;
    }

    static JinjaException bad(Token token, String expected) {
        return new JinjaException("The chat template has \"" + token.text() + "\" in line " + token.line() + " where "
                + expected + " is expected.");
    }

    final void enter() {
        if (++depth > MAXIMUM_DEPTH) {
            throw new JinjaException("The chat template nests deeper than " + MAXIMUM_DEPTH + " levels.");
        }
    }

    final void leave() {
        depth--;
    }

    /** An expression, or several with commas between, which are a tuple. */
    final Expression tupleOrExpression() {
        Expression first = expression();
        if (!at(Kind.OPERATOR, ",")) {
            return first;
        }
        List<Expression> items = new ArrayList<>(List.of(first));
        while (operator(",")) {
            if (peek().kind() == Kind.TAG_END || at(Kind.OPERATOR, ")") || at(Kind.OPERATOR, "=")) {
                break;
            }
            items.add(expression());
        }
        return new Expression.TupleOf(items);
    }

    final Expression expression() {
        enter();
        Expression value = or();
        while (accept(Kind.NAME, "if")) {
            Expression condition = or();
            Expression otherwise = accept(Kind.NAME, "else") ? expression() : null;
            value = new Expression.Conditional(condition, value, otherwise);
        }
        leave();
        return value;
    }

    /** An expression without a trailing {@code if}, as a {@code for} tag needs it. */
    final Expression or() {
        Expression left = and();
        while (accept(Kind.NAME, "or")) {
            left = new Expression.Binary("or", left, and());
        }
        return left;
    }

    private Expression and() {
        Expression left = not();
        while (accept(Kind.NAME, "and")) {
            left = new Expression.Binary("and", left, not());
        }
        return left;
    }

    private Expression not() {
        if (accept(Kind.NAME, "not")) {
            enter();
            Expression operand = not();
            leave();
            return new Expression.Unary("not", operand);
        }
        return comparison();
    }

    private Expression comparison() {
        Expression first = sum();
        List<String> operators = new ArrayList<>();
        List<Expression> operands = new ArrayList<>();
        while (true) {
            Token token = peek();
            if (token.kind() == Kind.OPERATOR && COMPARISONS.contains(token.text())) {
                operators.add(take().text());
            } else if (accept(Kind.NAME, "in")) {
                operators.add("in");
            } else if (at(Kind.NAME, "not") && tokens.get(next + 1).is(Kind.NAME, "in")) {
                next += 2;
                operators.add("not in");
            } else {
                return operators.isEmpty() ? first : new Expression.Comparison(first, operators, operands);
            }
            operands.add(sum());
        }
    }

    private Expression sum() {
        Expression left = concatenation();
        while (at(Kind.OPERATOR, "+") || at(Kind.OPERATOR, "-")) {
            left = new Expression.Binary(take().text(), left, concatenation());
        }
        return left;
    }

    private Expression concatenation() {
        Expression left = product();
        while (operator("~")) {
            left = new Expression.Binary("~", left, product());
        }
        return left;
    }

    private Expression product() {
        Expression left = power();
        while (at(Kind.OPERATOR, "*") || at(Kind.OPERATOR, "/") || at(Kind.OPERATOR, "//") || at(Kind.OPERATOR, "%")) {
            left = new Expression.Binary(take().text(), left, power());
        }
        return left;
    }

    private Expression power() {
        Expression left = unary(true);
        while (operator("**")) {
            left = new Expression.Binary("**", left, unary(true));
        }
        return left;
    }

    /** A sign binds closer than a filter: {@code -5|abs} is 5. */
    private Expression unary(boolean filtered) {
        Expression value;
        if (at(Kind.OPERATOR, "-") || at(Kind.OPERATOR, "+")) {
            String sign = take().text();
            enter();
            value = new Expression.Unary(sign, unary(false));
            leave();
        } else {
            value = postfix(primary());
        }
        return filtered ? filtersAndTests(value) : value;
    }

    private Expression primary() {
        Token token = take();
        switch (token.kind()) {
            case STRING -> {
                StringBuilder text = new StringBuilder(token.text());
                while (peek().kind() == Kind.STRING) {
                    text.append(take().text());
                }
                return new Expression.Literal(text.toString());
            }
            case NUMBER -> {
                return new Expression.Literal(number(token));
            }
            case NAME -> {
                return switch (token.text()) {
                    case "true", "True" -> new Expression.Literal(true);
                    case "false", "False" -> new Expression.Literal(false);
                    case "none", "None" -> new Expression.Literal(null);
                    default -> {
                        names.add(token.text());
                        yield new Expression.Variable(token.text());
                    }
                };
            }
            case OPERATOR -> {
                switch (token.text()) {
                    case "(" -> {
                        return parenthesised();
                    }
                    case "[" -> {
                        return new Expression.ListOf(items("]"));
                    }
                    case "{" -> {
                        return dict();
                    }
                    default -> throw bad(token, "an expression");
                }
            }
            default -> throw bad(token, "an expression");
        }
    }

    private static Object number(Token token) {
        try {
            String text = token.text().toLowerCase(Locale.ROOT);
            int radix = text.startsWith("0x") ? 16 : text.startsWith("0o") ? 8 : text.startsWith("0b") ? 2 : 10;
            if (radix != 10) {
                return Long.parseLong(text.substring(2), radix);
            }
            if (text.indexOf('.') >= 0 || text.indexOf('e') >= 0) {
                return Double.valueOf(text);
            }
            return Long.valueOf(text);
        } catch (NumberFormatException e) {
            throw bad(token, "a number of 64 bits");
        }
    }

    private Expression parenthesised() {
        if (operator(")")) {
            return new Expression.TupleOf(List.of());
        }
        Expression inner = tupleOrExpression();
        expect(Kind.OPERATOR, ")");
        return inner;
    }

    private List<Expression> items(String closing) {
        List<Expression> items = new ArrayList<>();
        while (!operator(closing)) {
            items.add(expression());
            if (!operator(",")) {
                expect(Kind.OPERATOR, closing);
                break;
            }
        }
        return items;
    }

    private Expression dict() {
        List<Expression> keys = new ArrayList<>();
        List<Expression> values = new ArrayList<>();
        while (!operator("}")) {
            keys.add(expression());
            expect(Kind.OPERATOR, ":");
            values.add(expression());
            if (!operator(",")) {
                expect(Kind.OPERATOR, "}");
                break;
            }
        }
        return new Expression.DictOf(keys, values);
    }

    private Expression postfix(Expression start) {
        Expression target = start;
        while (true) {
            if (operator(".")) {
                Token name = take();
                if (name.kind() == Kind.NUMBER) {
                    target = new Expression.Item(target, new Expression.Literal(number(name)));
                } else if (name.kind() == Kind.NAME) {
                    target = new Expression.Attribute(target, name.text());
                } else {
                    throw bad(name, "a name");
                }
            } else if (operator("[")) {
                target = subscript(target);
            } else if (operator("(")) {
                target = new Expression.Call(target, arguments());
            } else {
                return target;
            }
        }
    }

    private Expression subscript(Expression target) {
        Expression from = at(Kind.OPERATOR, ":") ? null : expression();
        if (from != null && operator("]")) {
            return new Expression.Item(target, from);
        }
        expect(Kind.OPERATOR, ":");
        Expression to = at(Kind.OPERATOR, ":") || at(Kind.OPERATOR, "]") ? null : expression();
        Expression step = operator(":") && !at(Kind.OPERATOR, "]") ? expression() : null;
        expect(Kind.OPERATOR, "]");
        return new Expression.Slice(target, from, to, step);
    }

    final Expression.Arguments arguments() {
        List<Expression> positional = new ArrayList<>();
        List<String> names = new ArrayList<>();
        List<Expression> named = new ArrayList<>();
        while (!operator(")")) {
            if (peek().kind() == Kind.NAME && tokens.get(next + 1).is(Kind.OPERATOR, "=")) {
                names.add(take().text());
                take();
                named.add(expression());
            } else {
                positional.add(expression());
            }
            if (!operator(",")) {
                expect(Kind.OPERATOR, ")");
                break;
            }
        }
        return new Expression.Arguments(positional, names, named);
    }

    final Expression filtersAndTests(Expression start) {
        Expression target = start;
        while (true) {
            if (operator("|")) {
                Token name = expect(Kind.NAME, null);
                Expression.Arguments arguments = operator("(") ? arguments() : Expression.Arguments.NONE;
                target = new Expression.Filter(target, name.text(), arguments, name.line());
            } else if (accept(Kind.NAME, "is")) {
                target = test(target);
            } else if (target instanceof Expression.Filter && operator("(")) {
                target = new Expression.Call(target, arguments());
            } else {
                return target;
            }
        }
    }

    private Expression test(Expression target) {
        boolean negated = accept(Kind.NAME, "not");
        Token name = expect(Kind.NAME, null);
        List<Expression> arguments = new ArrayList<>();
        Token token = peek();
        if (operator("(")) {
            arguments.addAll(items(")"));
        } else if (token.kind() == Kind.STRING
                || token.kind() == Kind.NUMBER
                || token.kind() == Kind.NAME && !KEYWORDS.contains(token.text())
                || token.is(Kind.OPERATOR, "[")
                || token.is(Kind.OPERATOR, "{")) {
            arguments.add(postfix(primary()));
        }
        return new Expression.Test(target, name.text(), arguments, negated, name.line());
    }
}
