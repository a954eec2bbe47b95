package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Collects the nodes of a {@link Program}; of nodes that say the same there is one. */
final class ProgramBuilder {
    private static final int MOST_NODES = 1_000_000;

    /** A node's content, as a key. */
    private record Content(List<Integer> bytes, List<Integer> free, int rule, int behind) {}

    private final Map<Content, Integer> known = new HashMap<>();
    private final List<int @Nullable []> bytes = new ArrayList<>();
    private final List<int @Nullable []> free = new ArrayList<>();
    private final List<Integer> rules = new ArrayList<>(); // that nodes call
    private final List<Integer> returns = new ArrayList<>();
    private final Map<Integer, Integer> twins = new HashMap<>();

    ProgramBuilder() {
        add(null, null, Program.NONE, Program.NONE); // the end
    }

    private int add(int @Nullable [] byteEdges, int @Nullable [] freeEdges, int rule, int behind) {
        if (bytes.size() >= MOST_NODES) {
            throw new UsageException("The grammar is too large: it has more than " + MOST_NODES
                    + " steps. Repeat less, or allow any number of times.");
        }
        bytes.add(byteEdges);
        free.add(freeEdges);
        rules.add(rule);
        returns.add(behind);
        return bytes.size() - 1;
    }

    private int unique(List<Integer> byteEdges, List<Integer> freeEdges, int rule, int behind) {
        return known.computeIfAbsent(
                new Content(byteEdges, freeEdges, rule, behind),
                content -> add(
                        byteEdges.isEmpty() ? null : array(byteEdges),
                        freeEdges.isEmpty() ? null : array(freeEdges),
                        rule,
                        behind));
    }

    private static int[] array(List<Integer> list) {
        return list.stream().mapToInt(Integer::intValue).toArray();
    }

    /** A node that reads a byte: triples of the first and the last byte of a range, and the node behind it. */
    int read(List<Integer> triples) {
        return unique(List.copyOf(triples), List.of(), Program.NONE, Program.NONE);
    }

    /** A node that goes on at one of others. */
    int choose(List<Integer> targets) {
        List<Integer> different = targets.stream().distinct().toList();
        return different.size() == 1 ? different.getFirst() : unique(List.of(), different, Program.NONE, Program.NONE);
    }

    /** A node that calls a rule. */
    int call(int rule, int behind) {
        return unique(List.of(), List.of(), rule, behind);
    }

    /** A node whose targets are told later: one that a loop comes back to. */
    int open() {
        return add(null, null, Program.NONE, Program.NONE);
    }

    /** Nodes that are alike ({@link Program#twins}). */
    void twin(int node, int of) {
        twins.put(node, of);
    }

    /** Where a node that was opened goes on. */
    void close(int node, int... targets) {
        free.set(node, targets);
    }

    /**
     * The program, without what can never come to an end.
     *
     * @param entries the first node of each rule
     * @param names of the rules, for messages; null of those that have none
     * @throws UsageException where a rule begins with itself, or no text follows the first
     */
    Program build(int[] entries, List<@Nullable String> names, int root) {
        int count = bytes.size();
        int[] calls = rules.stream()
                .mapToInt(rule -> rule == Program.NONE ? Program.NONE : entries[rule])
                .toArray();
        int[] behind = array(returns);
        int[] twinOf = IntStream.range(0, count)
                .map(node -> twins.getOrDefault(node, node))
                .toArray();
        Program whole = new Program(
                bytes.toArray(int[][]::new), free.toArray(int[][]::new), calls, behind, twinOf, entries[root]);
        LeftRecursion.check(whole, entries, names);
        boolean[] ends = ends(calls, behind);
        if (!ends[whole.start()]) {
            throw new UsageException("The grammar allows no text: what it asks for contradicts itself, or never ends.");
        }
        for (int i = 0; i < count; i++) {
            whole.bytes()[i] = pruned(bytes.get(i), 3, ends);
            whole.free()[i] = pruned(free.get(i), 1, ends);
            if (!ends[i]) {
                calls[i] = Program.NONE;
            }
        }
        return whole;
    }

    /** Edges that lead somewhere; the target is the last number of each. */
    private static int @Nullable [] pruned(int @Nullable [] edges, int size, boolean[] ends) {
        if (edges == null) {
            return null;
        }
        int[] kept = new int[edges.length];
        int length = 0;
        for (int i = 0; i < edges.length; i += size) {
            if (ends[edges[i + size - 1]]) {
                System.arraycopy(edges, i, kept, length, size);
                length += size;
            }
        }
        return length == 0 ? null : Arrays.copyOf(kept, length);
    }

    /** Of each node, whether the end of its rule can be reached from it. */
    private boolean[] ends(int[] calls, int[] behind) {
        boolean[] ends = new boolean[bytes.size()];
        ends[Program.END] = true;
        boolean upwards = false;
        boolean changed = true;
        while (changed) { // few rounds: chains of rules go one way or the other
            changed = false;
            upwards = !upwards;
            for (int k = 0; k < ends.length; k++) {
                int i = upwards ? k : ends.length - 1 - k;
                if (!ends[i]
                        && (anyEnds(bytes.get(i), 3, ends)
                                || anyEnds(free.get(i), 1, ends)
                                || calls[i] != Program.NONE && ends[calls[i]] && ends[behind[i]])) {
                    ends[i] = true;
                    changed = true;
                }
            }
        }
        return ends;
    }

    private static boolean anyEnds(int @Nullable [] edges, int size, boolean[] ends) {
        for (int i = size - 1; edges != null && i < edges.length; i += size) {
            if (ends[edges[i]]) {
                return true;
            }
        }
        return false;
    }
}
