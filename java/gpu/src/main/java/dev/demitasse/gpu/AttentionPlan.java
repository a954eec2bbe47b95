package dev.demitasse.gpu;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import java.util.ArrayList;
import java.util.List;

/**
 * How the rows of a batch are taken by attention: some by the kernel of decode, a row and a segment of its positions a
 * block, the others by that of prefill, up to {@link Limits#prefillRows} neighboring rows of one sequence a block.
 *
 * @param singles neighboring rows of the kernel of decode
 * @param segments of positions that each of them is cut into: a power of two, so that steps stay equal while sequences
 *     grow
 * @param slice rows of one launch, at most, so that the states of their segments fit
 * @param blocks how many blocks the kernel of prefill takes
 * @param blockAddress where they are described in the step's data, four integers each: first row, rows, two unused; or
 *     0
 */
public record AttentionPlan(List<Range> singles, int segments, int slice, int blocks, long blockAddress) {
    /** FP32 numbers of a state, of a row's segment and head, before its elements. */
    public static final int STATE_HEADER = 4;
    /** Elements of heads, at most, that the kernel of prefill takes; rows of longer ones are taken alone. */
    public static final int MOST_PREFILL_DIM = 256;

    /** Integers that describe a block of prefill. */
    public static final int BLOCK_INTS = 4;

    /** Neighboring rows. */
    public record Range(int first, int count) {}

    /**
     * What the kernels of a device take.
     *
     * @param segment positions of a segment
     * @param prefillRows rows of a block of prefill
     * @param leastPrefillRows rows of a sequence from which on that is worth its setting up; more than there are: never
     * @param mostRows rows of a launch
     * @param stateBytes bytes of states that a launch may take
     */
    public record Limits(int segment, int prefillRows, int leastPrefillRows, int mostRows, long stateBytes) {
        /** The same where each row is taken alone. */
        Limits withoutPrefill() {
            return new Limits(segment, prefillRows, Integer.MAX_VALUE, mostRows, stateBytes);
        }
    }

    /**
     * What a plan depends on beside the rows.
     *
     * @param stateBytes bytes of the states of a row's segment, of all heads
     * @param ahead positions after its own that a row sees
     */
    record Terms(Limits limits, long stateBytes, int ahead) {}

    /** Bytes of the states of a row's segment, of all heads. */
    public static long stateBytes(AttentionShape shape) {
        return (long) Float.BYTES * shape.heads() * (STATE_HEADER + PagedKvStore.paddedDim(shape.headDim()));
    }

    /** The most bytes of the step's data that a plan takes. */
    static long bytes(BatchRows rows, Limits limits) {
        List<Range> blocks = new ArrayList<>();
        divide(rows, limits, new ArrayList<>(), blocks);
        return Integer.BYTES * BLOCK_INTS * (long) blocks.size() + StepList.ALIGNMENT;
    }

    /** The plan of a batch, written to the step's data, which must have room for it. */
    static AttentionPlan of(BatchRows rows, Terms terms, StepList steps) {
        Limits limits = terms.limits;
        List<Range> singles = new ArrayList<>();
        List<Range> blocks = new ArrayList<>();
        divide(rows, limits, singles, blocks);
        int segments = segments(longest(rows, singles, terms.ahead), limits.segment);
        int slice = Math.clamp(limits.stateBytes / (terms.stateBytes * segments), 1, limits.mostRows);
        if (blocks.isEmpty()) {
            return new AttentionPlan(singles, segments, slice, 0, 0);
        }
        int[] ints = new int[BLOCK_INTS * blocks.size()];
        for (int i = 0; i < blocks.size(); i++) {
            ints[BLOCK_INTS * i] = blocks.get(i).first;
            ints[BLOCK_INTS * i + 1] = blocks.get(i).count;
        }
        return new AttentionPlan(singles, segments, slice, blocks.size(), steps.write(ints, ints.length));
    }

    /** Whether one launch of the kernel of decode takes all {@code rows}. */
    boolean isOneLaunch(int rows) {
        return blocks == 0 && singles.size() == 1 && singles.getFirst().count == rows && rows <= slice;
    }

    /** Rows of the largest launch of the kernel of decode. */
    public int mostSingles() {
        int most = 0;
        for (Range range : singles) {
            most = Math.max(most, Math.min(range.count, slice));
        }
        return most;
    }

    /** The last position that a row sees. */
    private static int longest(BatchRows rows, List<Range> ranges, int ahead) {
        int[] last = ahead == 0 ? rows.positions() : rows.ends();
        int longest = 0;
        for (Range range : ranges) {
            for (int i = 0; i < range.count; i++) {
                longest = Math.max(longest, last[range.first + i]);
            }
        }
        return longest;
    }

    private static int segments(int longest, int segment) {
        int needed = longest / segment + 1;
        return needed == 1 ? 1 : Integer.highestOneBit(needed - 1) * 2;
    }

    private static void divide(BatchRows rows, Limits limits, List<Range> singles, List<Range> blocks) {
        int alone = 0; // first row that waits to be taken alone
        for (int first = 0; first < rows.count(); ) {
            int last = first + 1;
            while (last < rows.count() && rows.pages()[last] == rows.pages()[first]) {
                last++;
            }
            if (last - first >= limits.leastPrefillRows) {
                if (first > alone) {
                    singles.add(new Range(alone, first - alone));
                }
                for (int at = first; at < last; at += limits.prefillRows) {
                    blocks.add(new Range(at, Math.min(limits.prefillRows, last - at)));
                }
                alone = last;
            }
            first = last;
        }
        if (rows.count() > alone) {
            singles.add(new Range(alone, rows.count() - alone));
        }
    }
}
