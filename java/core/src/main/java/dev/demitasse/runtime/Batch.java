package dev.demitasse.runtime;

import dev.demitasse.device.BatchRows;
import java.util.ArrayList;
import java.util.List;

/**
 * The rows of one forward pass: one or more sequences, each with one or more new tokens.
 *
 * @param ids token of each row
 * @param rows where the rows stand
 * @param logitRows rows whose logits choose a next token
 * @param sampled the sequence of each of {@code logitRows}
 */
record Batch(int[] ids, BatchRows rows, int[] logitRows, List<Sequence> sampled) {
    /** Collects the rows. */
    static final class Builder {
        private final int[] ids;
        private final int[] positions;
        private final int[][] pages;
        private final int[] logitRows;
        private final List<Sequence> sampled = new ArrayList<>();
        private int count;

        Builder(int maximumRows) {
            ids = new int[maximumRows];
            positions = new int[maximumRows];
            pages = new int[maximumRows][];
            logitRows = new int[maximumRows];
        }

        int free() {
            return ids.length - count;
        }

        /** Adds the next {@code rows} pending tokens of a sequence, whose pages are reserved. */
        void add(Sequence sequence, int rows) {
            for (int i = 0; i < rows; i++) {
                int position = sequence.cached() + i;
                ids[count] = sequence.token(position);
                positions[count] = position;
                pages[count++] = sequence.pages.pages();
            }
            sequence.cached(sequence.cached() + rows);
            if (sequence.pending() == 0) {
                logitRows[sampled.size()] = count - 1;
                sampled.add(sequence);
            }
        }

        Batch build() {
            return new Batch(
                    ids,
                    new BatchRows(count, positions, pages),
                    java.util.Arrays.copyOf(logitRows, sampled.size()),
                    sampled);
        }
    }
}
