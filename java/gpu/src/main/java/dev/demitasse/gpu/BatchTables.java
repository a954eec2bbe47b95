package dev.demitasse.gpu;

import dev.demitasse.device.BatchRows;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a batch in the step's data, written once for all layers: positions, page tables, where each row's table
 * begins, and where its sequence ends. Tables have room for a power of two of pages, so that addresses, and with them
 * the steps, stay equal while a sequence grows.
 */
public final class BatchTables {
    private final StepList steps;
    private @Nullable BatchRows batch;
    private @Nullable Rows rows;

    /**
     * The rows of a batch in device memory.
     *
     * @param count of them
     * @param positions address of a position a row
     * @param tables address of where each row's table begins, an index of {@code pages}
     * @param pages address of all tables
     * @param ends address of the last position in the batch of each row's sequence
     */
    public record Rows(int count, long positions, long tables, long pages, long ends) {}

    BatchTables(StepList steps) {
        this.steps = steps;
    }

    /** The step's data is gone. */
    void forget() {
        batch = null;
    }

    /** Whether these rows are in the step's data. */
    boolean holds(BatchRows wanted) {
        return wanted == batch;
    }

    /** The rows, which are put into the step's data where they are not there; that must have room for them. */
    Rows rows(BatchRows wanted) {
        Rows current = rows;
        if (current == null || wanted != batch) {
            current = put(wanted);
            rows = current;
            batch = wanted;
        }
        return current;
    }

    private Rows put(BatchRows wanted) {
        int count = wanted.count();
        int[] starts = new int[count];
        int total = 0;
        int[] previous = null;
        for (int row = 0; row < count; row++) {
            int[] table = wanted.pages()[row];
            if (table != previous) {
                starts[row] = total;
                total += capacity(table.length);
                previous = table;
            } else {
                starts[row] = starts[row - 1];
            }
        }
        int[] all = new int[total];
        for (int row = 0; row < count; row++) {
            System.arraycopy(wanted.pages()[row], 0, all, starts[row], wanted.pages()[row].length);
        }
        long positions = steps.write(wanted.positions(), count);
        long tables = steps.write(starts, count);
        long pages = steps.write(all, total);
        return new Rows(count, positions, tables, pages, steps.write(wanted.ends(), count));
    }

    /** The most bytes of the step's data that the rows take. */
    static long bytes(BatchRows batch) {
        long total = 3L * batch.count();
        int[] previous = null;
        for (int row = 0; row < batch.count(); row++) {
            int[] table = batch.pages()[row];
            total += table == previous ? 0 : capacity(table.length);
            previous = table;
        }
        return Integer.BYTES * total + 4 * StepList.ALIGNMENT;
    }

    private static int capacity(int pages) {
        return Math.max(8, Integer.highestOneBit(Math.max(1, pages - 1)) * 2);
    }
}
