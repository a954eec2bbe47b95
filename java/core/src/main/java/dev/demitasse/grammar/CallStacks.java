package dev.demitasse.grammar;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Stacks of calls, as numbers; those that end alike share what lies below. */
final class CallStacks {
    /** The stack without calls. */
    static final int ROOT = 0;

    /** A call: where to go on behind it, and the stack below. */
    record Call(int node, int below) {}

    private final Map<Call, Integer> numbers = new HashMap<>();
    private final List<Call> calls = new ArrayList<>();

    CallStacks() {
        calls.add(new Call(Program.END, ROOT));
    }

    int size() {
        return calls.size();
    }

    /** The last call of a stack. */
    Call top(int stack) {
        return calls.get(stack);
    }

    /** A stack with one more call. */
    int push(Call call) {
        return numbers.computeIfAbsent(call, added -> {
            calls.add(added);
            return calls.size() - 1;
        });
    }

    /** The number of another table's stack in this one. */
    int copy(CallStacks other, int stack) {
        Deque<Call> path = new ArrayDeque<>();
        for (int at = stack; at != ROOT; at = other.top(at).below) {
            path.push(other.top(at));
        }
        int copy = ROOT;
        for (Call call : path) {
            copy = push(new Call(call.node, copy));
        }
        return copy;
    }
}
