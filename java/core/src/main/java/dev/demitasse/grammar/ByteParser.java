package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads texts of a grammar byte by byte: a pushdown automaton that is made deterministic where it is used, with stacks
 * that share what lies below (Lang, "Deterministic techniques for efficient non-deterministic parsers", 1974). Not
 * thread-safe.
 */
final class ByteParser {
    private static final int MOST_STATES = 50_000;
    private static final int MOST_HEADS = 10_000;
    private static final int MOST_STACKS = 500_000;

    private final Program program;
    private final byte[] classOf = new byte[256];
    private final int classes;
    private final int[] byteOf; // one of each class

    private CallStacks stacks = new CallStacks(); // of this generation's states
    private Map<Key, ParserState> states = new HashMap<>();
    private final HeadSet reached = new HeadSet(); // of the state that is being made
    private long[] reading = new long[16]; // those of them that read a byte
    private ParserState start;

    ByteParser(Program program) {
        this.program = program;
        boolean[] begins = new boolean[257];
        for (int border : PlainCharacters.BORDERS) {
            begins[border] = true;
        }
        for (int[] edges : program.bytes()) {
            for (int i = 0; edges != null && i < edges.length; i += 3) {
                begins[edges[i]] = true;
                begins[edges[i + 1] + 1] = true;
            }
        }
        int[] representatives = new int[256];
        int count = 0;
        for (int b = 0; b < 256; b++) {
            if (b == 0 || begins[b]) {
                representatives[count++] = b;
            }
            classOf[b] = (byte) (count - 1);
        }
        classes = count;
        byteOf = Arrays.copyOf(representatives, count);
        reached.add(head(program.start(), CallStacks.ROOT));
        start = enter();
    }

    ParserState start() {
        start = fresh(start);
        return start;
    }

    /** How many classes of bytes are told apart. */
    int classes() {
        return classes;
    }

    /** A byte of a class. */
    int byteOf(int byteClass) {
        return byteOf[byteClass];
    }

    /** The state behind a byte; {@link ParserState#DEAD} where it cannot follow. */
    ParserState next(ParserState state, byte of) {
        return nextOfClass(state, classOf[of & 0xFF] & 0xFF);
    }

    /** The state behind any byte of a class. */
    ParserState nextOfClass(ParserState state, int byteClass) {
        ParserState next = state.next[byteClass];
        if (next == null) {
            next = compute(state, byteOf[byteClass]);
            state.next[byteClass] = next;
        }
        return next;
    }

    /** A state in which every node, and where the last call goes on, has its twin's place ({@link Program#twins}). */
    ParserState twin(ParserState state) {
        long[] heads = new long[state.heads.length];
        for (int i = 0; i < heads.length; i++) {
            int stack = (int) state.heads[i];
            CallStacks.Call call = stacks.top(stack);
            if (program.twins()[call.node()] != call.node()) {
                stack = stacks.push(new CallStacks.Call(program.twins()[call.node()], call.below()));
            }
            heads[i] = head(program.twins()[(int) (state.heads[i] >> 32)], stack);
        }
        if (Arrays.equals(heads, state.heads)) {
            return state;
        }
        Arrays.sort(heads);
        return intern(heads, state.accepting);
    }

    /** The state itself, or, where too many had been made, one that is the same and knows none of them. */
    ParserState fresh(ParserState state) {
        if (states.size() > MOST_STATES || stacks.size() > MOST_STACKS) {
            forget();
        }
        if (state.stacks == stacks) {
            return state;
        }
        long[] heads = new long[state.heads.length];
        for (int i = 0; i < heads.length; i++) {
            heads[i] = head((int) (state.heads[i] >> 32), stacks.copy(state.stacks, (int) state.heads[i]));
        }
        Arrays.sort(heads);
        return intern(heads, state.accepting);
    }

    /** Forgets all states but those that others hold, and {@link #fresh} makes anew. */
    void forget() {
        states = new HashMap<>();
        stacks = new CallStacks();
    }

    private ParserState compute(ParserState state, int of) {
        reached.clear();
        for (long head : state.heads) {
            int[] edges = program.bytes()[(int) (head >> 32)];
            for (int i = 0; edges != null && i < edges.length; i += 3) {
                if (edges[i] <= of && of <= edges[i + 1]) {
                    reached.add(head(edges[i + 2], (int) head));
                }
            }
        }
        return reached.size() == 0 ? ParserState.DEAD : enter();
    }

    private static long head(int node, int stack) {
        return (long) node << 32 | stack;
    }

    /** The state of the heads that are reached, and of all that can be reached from them without a byte. */
    private ParserState enter() {
        boolean accepting = false;
        int count = 0;
        for (int at = 0; at < reached.size(); at++) { // which become more meanwhile
            int node = (int) (reached.get(at) >> 32);
            int stack = (int) reached.get(at);
            if (node == Program.END) {
                if (stack == CallStacks.ROOT) {
                    accepting = true;
                } else {
                    CallStacks.Call call = stacks.top(stack);
                    reached.add(head(call.node(), call.below()));
                }
                continue;
            }
            if (program.bytes()[node] != null) {
                if (count == reading.length) {
                    reading = Arrays.copyOf(reading, 2 * count);
                }
                reading[count++] = reached.get(at);
            }
            int[] free = program.free()[node];
            for (int i = 0; free != null && i < free.length; i++) {
                reached.add(head(free[i], stack));
            }
            if (program.calls()[node] != Program.NONE) {
                reached.add(head(program.calls()[node], below(program.returns()[node], stack)));
            }
            if (reached.size() > MOST_HEADS) {
                throw new UsageException("The grammar is too ambiguous: a text of it can be read in more than "
                        + MOST_HEADS + " ways. Write alternatives that begin differently.");
            }
        }
        long[] heads = Arrays.copyOf(reading, count);
        Arrays.sort(heads);
        return intern(heads, accepting);
    }

    /** The stack within a call. One that ends its rule needs no return of its own: lists of any length stay flat. */
    private int below(int behind, int stack) {
        if (behind == Program.END) {
            return stack;
        }
        return stacks.push(new CallStacks.Call(behind, stack));
    }

    private ParserState intern(long[] heads, boolean accepting) {
        return states.computeIfAbsent(
                new Key(heads, accepting), key -> new ParserState(heads, accepting, stacks, classes));
    }

    /** What tells states apart. */
    private record Key(long[] heads, boolean accepting) {
        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Key key && accepting == key.accepting && Arrays.equals(heads, key.heads);
        }

        @Override
        public int hashCode() {
            return Arrays.hashCode(heads);
        }
    }
}
