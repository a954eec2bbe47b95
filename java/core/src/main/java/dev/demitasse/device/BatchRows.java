package dev.demitasse.device;

import dev.demitasse.UsageException;
import dev.demitasse.kv.KvShape;

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
     * @throws UsageException where that is not so
     */
    public void requirePages(KvShape shape) {
        if (count < 0 || count > positions.length || count > pages.length) {
            throw new UsageException(
                    count + " rows have " + positions.length + " positions and " + pages.length + " page tables.");
        }
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
}
