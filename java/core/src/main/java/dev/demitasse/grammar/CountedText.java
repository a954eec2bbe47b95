package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The texts of an expression that have so many characters: a network over characters (Thompson, "Regular expression
 * search algorithm", 1968), and its product with a counter.
 */
final class CountedText {
    private static final int END = 0;
    private static final int MOST_NODES = 100_000;

    /** A step of the network: a character of the set, or none where that is null. */
    private record Step(@Nullable CharSet set, int to) {}

    /** Where one is in the network, and how many characters were read; at most as many as make a difference. */
    private record Place(int node, int count) {}

    private final List<List<Step>> nodes = new ArrayList<>();
    private final int start;
    private final int least;
    private final int most;
    private final boolean uniform; // any number of characters of one set: where one is says nothing but how many come
    private final int farthest; // characters to the end from where it is farthest, the shortest way

    CountedText(Expression.JsonString string) {
        least = string.least();
        most = string.most();
        nodes.add(List.of());
        start = network(string.content(), END);
        uniform = string.content() instanceof Expression.Repeat repeat
                && repeat.least() == 0
                && repeat.most() == Expression.UNLIMITED
                && repeat.body() instanceof Expression.Chars;
        farthest = farthest();
    }

    /** By rounds of all nodes, each of which is nearer to the end than it was known to be, until none is. */
    private int farthest() {
        int[] distance = new int[nodes.size()];
        Arrays.fill(distance, MOST_NODES);
        distance[END] = 0;
        for (boolean changed = true; changed; ) {
            changed = false;
            for (int node = 0; node < distance.length; node++) {
                for (Step step : nodes.get(node)) {
                    int through = distance[step.to] + (step.set == null ? 0 : 1);
                    changed |= through < distance[node];
                    distance[node] = Math.min(distance[node], through);
                }
            }
        }
        return Arrays.stream(distance).max().orElse(0);
    }

    /**
     * Whether one cannot tell how many characters there were before: no limit is met within a token, and none keeps
     * from coming to an end behind it. Before the least number that depends on the lengths that the network has.
     */
    private boolean isFar(int count) {
        boolean endless = most == Expression.UNLIMITED || most - count > Program.ALIKE + farthest;
        return Program.isFar(count, least, most) && (uniform || count >= least && endless);
    }

    /** A step of the network, before the least number of characters or not. */
    private record Kind(CharSet set, int to, boolean enough) {}

    private int node(List<Step> steps) {
        if (nodes.size() >= MOST_NODES) {
            throw new UsageException("A pattern whose characters are counted has more than " + MOST_NODES
                    + " steps. Repeat less, or leave the lengths out.");
        }
        nodes.add(steps);
        return nodes.size() - 1;
    }

    private int network(Expression expression, int next) {
        return switch (expression) {
            case Expression.Chars chars -> node(List.of(new Step(chars.set(), next)));
            case Expression.Sequence sequence -> {
                int from = next;
                for (Expression part : sequence.parts().reversed()) {
                    from = network(part, from);
                }
                yield from;
            }
            case Expression.Choice choice ->
                node(choice.alternatives().stream()
                        .map(each -> new Step(null, network(each, next)))
                        .toList());
            case Expression.Repeat repeat -> repeat(repeat, next);
            case Expression.Reference _, Expression.JsonString _ ->
                throw new IllegalArgumentException("not an expression of characters: " + expression);
        };
    }

    private int repeat(Expression.Repeat repeat, int next) {
        boolean unlimited = repeat.most() == Expression.UNLIMITED;
        int copies = unlimited ? repeat.least() : repeat.most();
        int from = next;
        if (unlimited) {
            from = node(new ArrayList<>());
            nodes.get(from).add(new Step(null, network(repeat.body(), from)));
            nodes.get(from).add(new Step(null, next));
        }
        for (int i = copies; i > 0; i--) {
            int once = network(repeat.body(), from);
            if (once == from) {
                break; // nothing, however often
            }
            from = i > repeat.least() ? node(List.of(new Step(null, once), new Step(null, next))) : once;
        }
        return from;
    }

    /** The node of a program from which these texts are read as JSON. */
    int compile(int next, ProgramBuilder out) {
        Map<Place, Integer> made = new HashMap<>();
        Deque<Place> open = new ArrayDeque<>();
        Map<Kind, Integer> alike = new HashMap<>(); // the first node of each that is far from both limits
        int entry = make(new Place(start, 0), made, open, out);
        while (!open.isEmpty()) {
            Place place = open.pop();
            List<Integer> targets = new ArrayList<>();
            if (place.node == END && place.count >= least) {
                targets.add(next);
            }
            for (Step step : nodes.get(place.node)) {
                if (step.set == null) {
                    targets.add(make(new Place(step.to, place.count), made, open, out));
                } else if (place.count < most) {
                    int count = most == Expression.UNLIMITED ? Math.min(place.count + 1, least) : place.count + 1;
                    int behind = make(new Place(step.to, count), made, open, out);
                    int read = Encoding.JSON.read(step.set, behind, out);
                    if (isFar(place.count)) {
                        Kind kind = new Kind(step.set, step.to, place.count >= least);
                        out.twin(read, alike.computeIfAbsent(kind, first -> read));
                    }
                    targets.add(read);
                }
            }
            out.close(
                    make(place, made, open, out),
                    targets.stream().mapToInt(Integer::intValue).toArray());
        }
        return entry;
    }

    private static int make(Place place, Map<Place, Integer> made, Deque<Place> open, ProgramBuilder out) {
        return made.computeIfAbsent(place, at -> {
            open.push(at);
            return out.open();
        });
    }
}
