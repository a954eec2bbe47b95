package dev.demitasse.grammar;

import org.jspecify.annotations.Nullable;

/**
 * A grammar as a recursive transition network over bytes. A node either reads a byte, goes on elsewhere without one, or
 * calls a rule and goes on behind it. Node {@link #END} ends a rule.
 *
 * @param bytes of each node triples: the first and the last byte of a range, and the node behind it; null for none
 * @param free of each node, the nodes that it goes on at without a byte; null for none
 * @param calls of each node, the first node of the rule that it calls; {@link #NONE} for none
 * @param returns of each node, where it goes on behind that rule
 * @param start the first node of the rule that a whole text follows
 */
record Program(int[] @Nullable [] bytes, int[] @Nullable [] free, int[] calls, int[] returns, int start) {
    static final int END = 0;
    static final int NONE = -1;
}
