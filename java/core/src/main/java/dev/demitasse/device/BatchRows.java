package dev.demitasse.device;

import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import java.util.Arrays;
import java.util.BitSet;

/**
 * Where the rows of a batch stand: row {@code i} is position {@code positions[i]} of a sequence whose cache lies in the
 * pages {@code pages[i]} (page {@code p} holds positions from {@code p * pageLength}). Rows of one sequence come in
 * ascending positions.
 *
 * @param count rows
 * @param positions position of each row, from 0
 * @param pages page table of each row's sequence; rows of one sequence share the array
 */
public record BatchRows(int count, int[] positions, int[][] pages) {
    /**
     * Checks that every position has a page of the cache, and that rows of one sequence come in ascending positions.
     *
     * @param shape of the cache
     * @throws UsageException where that is not so
     */
    public void requirePages(KvShape shape) {
        requireArrays();
        for (int row = 0; row < count; row++) {
            boolean goesOn = row > 0 && pages[row] == pages[row - 1];
            if (goesOn && positions[row] <= positions[row - 1]) {
                throw new UsageException("Position " + positions[row] + " of a sequence follows its position "
                        + positions[row - 1] + "; rows of one sequence come in ascending positions.");
            }
            int last = positions[row] / KvShape.PAGE;
            if (positions[row] < 0 || last >= pages[row].length) {
                throw new UsageException(
                        "Position " + positions[row] + " has no page in a table of " + pages[row].length + ".");
            }
            for (int i = goesOn ? positions[row - 1] / KvShape.PAGE + 1 : 0; i <= last; i++) {
                if (pages[row][i] < 0 || pages[row][i] >= shape.pages()) {
                    throw new UsageException(
                            "Page " + pages[row][i] + " is not one of the cache's " + shape.pages() + ".");
                }
            }
        }
    }

    /**
     * Checks that every row has a position, and a first page that is the number of one of {@code slots} states; that
     * rows of one sequence follow each other without a gap, and that no two sequences have one state.
     *
     * @param slots how many states there are
     * @throws UsageException where that is not so
     */
    public void requireSlots(long slots) {
        requireArrays();
        BitSet seen = new BitSet();
        for (int row = 0; row < count; row++) {
            boolean goesOn = row > 0 && pages[row] == pages[row - 1];
            if (positions[row] < 0 || goesOn && positions[row] != positions[row - 1] + 1) {
                throw new UsageException("Position " + positions[row] + " of a sequence does not follow the row before"
                        + " it; a state takes positions one after another.");
            }
            if (pages[row].length == 0 || pages[row][0] < 0 || pages[row][0] >= slots) {
                throw new UsageException("The first page of row " + row + " is not one of " + slots + " states.");
            }
            if (!goesOn && seen.get(pages[row][0])) {
                throw new UsageException("State " + pages[row][0] + " belongs to two sequences of a batch.");
            }
            seen.set(pages[row][0]);
        }
    }

    /** {@return the last position in the batch of each row's sequence} */
    public int[] ends() {
        int[] ends = new int[count];
        for (int row = count - 1; row >= 0; row--) {
            boolean goesOn = row + 1 < count && pages[row] == pages[row + 1];
            ends[row] = goesOn ? ends[row + 1] : positions[row];
        }
        return ends;
    }

    /** Checks that every row has a position and a table. */
    void requireArrays() {
        if (count < 0 || count > positions.length || count > pages.length) {
            throw new UsageException(
                    count + " rows have " + positions.length + " positions and " + pages.length + " page tables.");
        }
    }

    /** The same rows in arrays of their own; rows that share a table share its copy. */
    BatchRows copy() {
        int[][] tables = new int[count][];
        for (int row = 0; row < count; row++) {
            tables[row] = row > 0 && pages[row] == pages[row - 1] ? tables[row - 1] : pages[row].clone();
        }
        return new BatchRows(count, Arrays.copyOf(positions, count), tables);
    }

    /** Whether {@code other} has the numbers of this copy, and rows that share a table where this has. */
    boolean sameAs(BatchRows other) {
        if (other.count != count || other.positions.length < count || other.pages.length < count) {
            return false;
        }
        for (int row = 0; row < count; row++) {
            boolean shared = row > 0 && pages[row] == pages[row - 1];
            boolean same = positions[row] == other.positions[row]
                    && (shared
                            ? other.pages[row] == other.pages[row - 1]
                            : Arrays.equals(pages[row], other.pages[row])
                                    && (row == 0 || other.pages[row] != other.pages[row - 1]));
            if (!same) {
                return false;
            }
        }
        return true;
    }
}
