package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Finds rules that begin with themselves: what follows from those could be entered for ever without reading a byte. */
final class LeftRecursion {
    private static final int NONE = -1;

    private final Program program;
    private final int[] entries;
    private final Map<Integer, Integer> ruleOf = new HashMap<>(); // by its first node; of those that share it, one
    private final boolean[] empty; // of each rule, whether the empty text follows it

    private LeftRecursion(Program program, int[] entries) {
        this.program = program;
        this.entries = entries;
        for (int rule = 0; rule < entries.length; rule++) {
            ruleOf.putIfAbsent(entries[rule], rule);
        }
        empty = new boolean[entries.length];
    }

    /**
     * Checks a program.
     *
     * @throws UsageException where a rule begins with itself
     */
    static void check(Program program, int[] entries, List<@Nullable String> names) {
        LeftRecursion search = new LeftRecursion(program, entries);
        BitSet[] first = search.first();
        int[] state = new int[entries.length]; // 1 while what a rule begins with is looked at, 2 after that
        for (int rule = 0; rule < entries.length; rule++) {
            int again = state[rule] == 0 ? circle(rule, first, state) : NONE;
            if (again != NONE) {
                String name = names.get(again);
                throw new UsageException((name == null ? "A part that repeats" : "Rule \"" + name + "\"")
                        + " begins with itself (left recursion). Write what repeats first: list ::= item (\",\" item)*,"
                        + " not list ::= list \",\" item.");
            }
        }
    }

    /** A rule that is come to again from itself, or {@link #NONE}. */
    private static int circle(int from, BitSet[] first, int[] state) {
        Deque<Integer> path = new ArrayDeque<>();
        path.push(from);
        state[from] = 1;
        int[] next = new int[first.length];
        while (!path.isEmpty()) {
            int rule = path.element();
            int called = first[rule].nextSetBit(next[rule]);
            if (called < 0) {
                state[rule] = 2;
                path.pop();
                continue;
            }
            next[rule] = called + 1;
            if (state[called] == 1) {
                return called;
            }
            if (state[called] == 0) {
                state[called] = 1;
                path.push(called);
            }
        }
        return NONE;
    }

    /** Of each rule, those that may be called before a byte is read. */
    private BitSet[] first() {
        BitSet[] first = new BitSet[entries.length];
        for (boolean changed = true; changed; ) {
            boolean[] before = empty.clone();
            for (int rule = 0; rule < entries.length; rule++) {
                first[rule] = new BitSet();
                enter(rule, first[rule]);
            }
            changed = !Arrays.equals(before, empty);
        }
        return first;
    }

    private void enter(int rule, BitSet first) {
        BitSet seen = new BitSet();
        Deque<Integer> open = new ArrayDeque<>();
        open.push(entries[rule]);
        while (!open.isEmpty()) {
            int node = open.pop();
            if (seen.get(node)) {
                continue;
            }
            seen.set(node);
            if (node == Program.END) {
                empty[rule] = true;
            }
            int[] free = program.free()[node];
            if (free != null) {
                Arrays.stream(free).forEach(open::push);
            }
            int called = program.calls()[node];
            if (called != Program.NONE) {
                int of = ruleOf.getOrDefault(called, rule);
                first.set(of);
                if (empty[of]) {
                    open.push(program.returns()[node]);
                }
            }
        }
    }
}
