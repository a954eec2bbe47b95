package dev.demitasse.grammar;

import org.jspecify.annotations.Nullable;

/**
 * All that the bytes so far let one be in: nodes of a {@link Program} that read a byte, each with the rules that it was
 * called by. States that are the same are one object, as long as {@link ByteParser} keeps them.
 */
final class ParserState {
    /** Where no text of the grammar begins with the bytes. */
    static final ParserState DEAD = new ParserState(new long[0], false, new CallStacks(), 0);

    final long[] heads; // node in the upper, stack in the lower 32 bits; ascending
    final boolean accepting; // whether the bytes are a whole text
    final CallStacks stacks; // that the heads' are of
    final @Nullable ParserState[] next; // by classes of bytes; null for what is not known yet
    long @Nullable [] allowed; // tokens that may come next, where that is known
    long @Nullable [] alike; // of them what states with this twin have in common, where that is known
    int free; // plain characters that may follow, any one after any other: so many are known to,
    int freeAtMost = Integer.MAX_VALUE; // and more are known not to
    ParserState @Nullable [] behindPlain; // the states behind one of them, where that is known

    ParserState(long[] heads, boolean accepting, CallStacks stacks, int classes) {
        this.heads = heads;
        this.accepting = accepting;
        this.stacks = stacks;
        this.next = new ParserState[classes];
    }

    /** Whether nothing can follow but the end. */
    boolean isComplete() {
        return accepting && heads.length == 0;
    }
}
