package dev.demitasse.device;

import dev.demitasse.exception.UsageException;

/**
 * One layer's selective scan.
 *
 * @param groups of heads that share B and C; neighboring heads are of one group
 * @param heads a multiple of {@code groups}
 * @param headDim elements of a head's values
 * @param stateDim elements of B, and of C
 */
public record ScanShape(int groups, int heads, int headDim, int stateDim) {
    /** Elements of a head, and of a state, at most. */
    public static final int MOST_DIM = 256;

    /** Heads, at most. */
    public static final int MOST_HEADS = 2048;

    /** Checks that there is such a layer. */
    public ScanShape {
        boolean few = groups >= 1 && groups <= heads && heads <= MOST_HEADS;
        boolean small = headDim >= 1 && headDim <= MOST_DIM && stateDim >= 1 && stateDim <= MOST_DIM;
        if (!few || heads % groups != 0 || !small) {
            throw new UsageException(
                    "No selective scan has " + heads + " heads of " + headDim + " elements in " + groups
                            + " groups with states of " + stateDim + "; there are at most " + MOST_HEADS
                            + " heads of at most " + MOST_DIM + " elements.");
        }
    }

    /** {@return the numbers of a row: values, B and C} */
    public int columns() {
        return values() + 2 * groups * stateDim;
    }

    /** {@return elements of a row's values} */
    public int values() {
        return heads * headDim;
    }

    /** {@return numbers of a sequence's state} */
    public long stateElements() {
        return (long) heads * headDim * stateDim;
    }

    /**
     * {@return the group of a head}
     *
     * @param head which one, from 0
     */
    public int group(int head) {
        return head / (heads / groups);
    }
}
