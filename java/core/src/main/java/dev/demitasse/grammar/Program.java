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
 * @param twins of each node, one from which the same may be read for {@link #ALIKE} characters; most often itself
 * @param start the first node of the rule that a whole text follows
 */
record Program(int[] @Nullable [] bytes, int[] @Nullable [] free, int[] calls, int[] returns, int[] twins, int start) {
    /** Characters for which a node is like its twin. */
    static final int ALIKE = 64;

    static final int END = 0;
    static final int NONE = -1;

    /**
     * Whether no limit is met within {@link #ALIKE} characters, so that it cannot be told how many there were before.
     *
     * @param count characters before
     * @param least that there must be
     * @param most that there may be, or {@link Expression#UNLIMITED}
     */
    static boolean isFar(int count, int least, int most) {
        boolean end = most == Expression.UNLIMITED || most - count > ALIKE;
        return end && (count >= least || least - count > ALIKE);
    }
}
