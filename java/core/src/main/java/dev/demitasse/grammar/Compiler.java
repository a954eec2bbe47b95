package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Makes a {@link Program} of rules. Expressions become nodes from their end on: each is told the node that comes behind
 * it, so that what is alike behind several beginnings is there once.
 */
final class Compiler {
    /** A body that repeats more often than that is a rule of its own: a node each time. */
    private static final int MOST_COPIES = 4;

    /** A rule that is to be compiled. */
    private record Body(@Nullable String name, Expression expression, Encoding encoding) {}

    private final Rules rules;
    private final ProgramBuilder out = new ProgramBuilder();
    private final List<Body> bodies = new ArrayList<>(); // of all rules
    private final Map<String, Integer> named = new HashMap<>();
    private final Map<Site, Integer> compiled = new HashMap<>();
    private final IdentityHashMap<Expression, Integer> repeated = new IdentityHashMap<>();
    private final IdentityHashMap<Expression, Integer> repeatedInJson = new IdentityHashMap<>();

    private Compiler(Rules rules) {
        this.rules = rules;
    }

    /**
     * The program of rules.
     *
     * @throws UsageException where they contradict themselves, or are too large
     */
    static Program compile(Rules rules) {
        Compiler compiler = new Compiler(rules);
        int root = compiler.named(rules.root());
        List<Integer> entries = new ArrayList<>();
        List<@Nullable String> names = new ArrayList<>();
        for (int rule = 0; rule < compiler.bodies.size(); rule++) { // which become more meanwhile
            Body body = compiler.bodies.get(rule);
            names.add(body.name);
            entries.add(compiler.compile(body.expression, Program.END, body.encoding));
        }
        return compiler.out.build(entries.stream().mapToInt(Integer::intValue).toArray(), names, root);
    }

    private int named(String name) {
        Integer known = named.get(name);
        if (known != null) {
            return known;
        }
        Expression expression = rules.byName().get(name);
        if (expression == null) {
            throw new UsageException("The grammar has no rule \"" + name + "\".");
        }
        bodies.add(new Body(name, expression, Encoding.PLAIN));
        named.put(name, bodies.size() - 1);
        return bodies.size() - 1;
    }

    private int repeated(Expression expression, Encoding encoding) {
        return (encoding == Encoding.JSON ? repeatedInJson : repeated).computeIfAbsent(expression, body -> {
            bodies.add(new Body(null, body, encoding));
            return bodies.size() - 1;
        });
    }

    /** An expression, the same object, with what comes behind it. */
    private record Site(Expression expression, int next, Encoding encoding) {
        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Site site
                    && expression == site.expression
                    && next == site.next
                    && encoding == site.encoding;
        }

        @Override
        public int hashCode() {
            return 31 * System.identityHashCode(expression) + next;
        }
    }

    private int compile(Expression expression, int next, Encoding encoding) {
        Site site = new Site(expression, next, encoding);
        Integer known = compiled.get(site);
        if (known == null) {
            known = make(expression, next, encoding);
            compiled.put(site, known);
        }
        return known;
    }

    private int make(Expression expression, int next, Encoding encoding) {
        return switch (expression) {
            case Expression.Chars chars -> encoding.read(chars.set(), next, out);
            case Expression.Sequence sequence -> {
                int from = next;
                for (Expression part : sequence.parts().reversed()) {
                    from = compile(part, from, encoding);
                }
                yield from;
            }
            case Expression.Choice choice -> {
                List<Integer> targets = new ArrayList<>();
                choice.alternatives().forEach(each -> targets.add(compile(each, next, encoding)));
                yield out.choose(targets);
            }
            case Expression.Repeat repeat -> repeat(repeat, next, encoding);
            case Expression.Reference reference -> out.call(named(reference.rule()), next);
            case Expression.JsonString string -> jsonString(string, next);
        };
    }

    private int repeat(Expression.Repeat repeat, int next, Encoding encoding) {
        boolean unlimited = repeat.most() == Expression.UNLIMITED;
        int copies = unlimited ? repeat.least() : repeat.most();
        Expression body = repeat.body();
        int rule = copies > MOST_COPIES ? repeated(body, encoding) : Program.NONE;
        int from = next;
        if (unlimited) {
            from = out.open();
            out.close(from, compile(body, from, encoding), next);
        }
        Map<Boolean, Integer> alike = new HashMap<>();
        for (int i = copies; i > 0; i--) {
            int once = rule == Program.NONE ? compile(body, from, encoding) : out.call(rule, from);
            if (once == from) {
                break; // nothing, however often
            }
            from = i > repeat.least() ? out.choose(List.of(once, next)) : once;
            if (body instanceof Expression.Chars && Program.isFar(i - 1, repeat.least(), repeat.most())) {
                int node = from;
                out.twin(node, alike.computeIfAbsent(i > repeat.least(), optional -> node));
            }
        }
        return from;
    }

    private int jsonString(Expression.JsonString string, int next) {
        boolean anyLength = string.least() == 0 && string.most() == Expression.UNLIMITED;
        if (anyLength) {
            return compile(string.content(), next, Encoding.JSON);
        }
        if (string.content() == Expression.ANYTHING) {
            Expression counted = new Expression.Repeat(Encoding.ANY_CHARACTER, string.least(), string.most());
            return compile(counted, next, Encoding.JSON);
        }
        return new CountedText(string).compile(next, out);
    }
}
