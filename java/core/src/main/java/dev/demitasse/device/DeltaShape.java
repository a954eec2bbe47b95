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

    /** Heads, at most. */
    public static final int MOST_HEADS = 2048;

    /** Checks that there is such a layer. */
    public DeltaShape {
        boolean few = keyHeads >= 1 && keyHeads <= heads && heads <= MOST_HEADS;
        if (!few || heads % keyHeads != 0 || headDim < 1 || headDim > MOST_HEAD_DIM) {
            throw new UsageException("No delta rule has " + keyHeads + " heads of keys and " + heads + " of values, of "
                    + headDim + " elements; there are at most " + MOST_HEADS + " heads of at most " + MOST_HEAD_DIM
                    + " elements.");
        }
    }

    /** {@return the numbers of a row: queries, keys and values} */
    public int columns() {
        return (2 * keyHeads + heads) * headDim;
    }

    /** {@return elements of a row's values} */
    public int values() {
        return heads * headDim;
    }

    /** {@return numbers of a sequence's state} */
    public long stateElements() {
        return (long) heads * headDim * headDim;
    }

    /**
     * {@return the head of queries and keys that goes with a head of values}
     *
     * @param head of values, from 0
     */
    public int keyHead(int head) {
        return grouped ? head / (heads / keyHeads) : head % keyHeads;
    }
}
