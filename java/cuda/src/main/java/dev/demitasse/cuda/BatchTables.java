package dev.demitasse.cuda;

import dev.demitasse.device.BatchRows;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a batch in the step's data, written once for all layers: positions, page tables, and where each row's table begins. Tables
 * have room for a power of two of pages, so that addresses, and with them the launches, stay the same while a sequence grows.
 */
final class BatchTables {
    private final LaunchList launches;
    private @Nullable BatchRows rows;
    private long positions;
    private long tables;
    private long pages;

    BatchTables(LaunchList launches) {
        this.launches = launches;
        launches.afterRun(() -> rows = null);
    }

    /** Puts the rows into the step's data. */
    void use(BatchRows batch) {
        if (batch == rows) {
            return;
        }
        int count = batch.count();
        int[] starts = new int[count];
        int total = 0;
        int[] previous = null;
        for (int row = 0; row < count; row++) {
            int[] table = batch.pages()[row];
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
            System.arraycopy(batch.pages()[row], 0, all, starts[row], batch.pages()[row].length);
        }
        positions = launches.put(batch.positions(), count, count);
        tables = launches.put(starts, count, count);
        pages = launches.put(all, total, total);
        rows = batch;
    }

    /** The most bytes of the step's data that the rows take. */
    static long bytes(BatchRows batch) {
        long total = 2L * batch.count();
        int[] previous = null;
        for (int row = 0; row < batch.count(); row++) {
            int[] table = batch.pages()[row];
            total += table == previous ? 0 : capacity(table.length);
            previous = table;
        }
        return 4 * total + 64;
    }

    private static int capacity(int pages) {
        return Math.max(8, Integer.highestOneBit(Math.max(1, pages - 1)) * 2);
    }

    /** The words of {@code BatchRows} for rows from {@code first} on. */
    long[] words(int first) {
        return new long[] {positions + 4L * first, tables + 4L * first, pages};
    }
}
