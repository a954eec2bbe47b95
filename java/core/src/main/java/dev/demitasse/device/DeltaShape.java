package dev.demitasse.device;

import dev.demitasse.exception.UsageException;

/**
 * One layer's gated delta rule.
 *
 * @param keyHeads heads of queries and keys
 * @param heads heads of values; a multiple of {@code keyHeads}
 * @param headDim elements of a head
 * @param grouped whether neighboring heads share keys: head j has those of j div (heads / keyHeads), else of j mod
 *     keyHeads
 * @param epsilon is added to the sum of squares by whose root queries and keys are divided
 */
public record DeltaShape(int keyHeads, int heads, int headDim, boolean grouped, float epsilon) {
    /** Elements of a head, at most. */
    public static final int MOST_HEAD_DIM = 256;

    /** Checks that there is such a layer. */
    public DeltaShape {
        if (keyHeads < 1 || heads < 1 || heads % keyHeads != 0 || headDim < 1 || headDim > MOST_HEAD_DIM) {
            throw new UsageException("No delta rule has " + keyHeads + " heads of keys and " + heads + " of values, of "
                    + headDim + " elements; heads have at most " + MOST_HEAD_DIM + ".");
        }
    }

    /** The numbers of a row: queries, keys and values. */
    public int columns() {
        return Math.addExact(Math.multiplyExact(2 * keyHeads, headDim), values());
    }

    /** Elements of a row's values. */
    public int values() {
        return Math.multiplyExact(heads, headDim);
    }

    /** Numbers of a sequence's state. */
    public long stateElements() {
        return (long) heads * headDim * headDim;
    }

    /** The head of queries and keys that goes with a head of values. */
    public int keyHead(int head) {
        return grouped ? head / (heads / keyHeads) : head % keyHeads;
    }
}
