package dev.demitasse.runtime;

import dev.demitasse.device.BatchRows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The rows of one forward pass: one or more sequences, each with one or more new tokens. Scheduling makes it, the
 * forward pass runs it, and only then {@link #commit} tells the sequences that their rows are in the cache.
 *
 * @param ids token of each row
 * @param rows where the rows stand
 * @param parts the sequences, and how many rows each has
 * @param logitRows rows whose logits choose a next token
 * @param sampled the sequence of each of {@code logitRows}
 */
record Batch(int[] ids, BatchRows rows, List<Part> parts, int[] logitRows, List<Sequence> sampled) {
    /** The rows of one sequence. */
    record Part(Sequence sequence, int rows) {}

    /** The rows were run: their keys and values are in the cache. */
    void commit() {
        parts.forEach(part -> part.sequence.cached(part.sequence.cached() + part.rows));
    }

    /** The sequences that have rows here. */
    List<Sequence> sequences() {
        return parts.stream().map(Part::sequence).toList();
    }

    /** Collects the rows. */
    static final class Builder {
        private final int[] ids;
        private final int[] positions;
        private final int[][] pages;
        private final int[] logitRows;
        private final List<Part> parts = new ArrayList<>();
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
            parts.add(new Part(sequence, rows));
            if (sequence.pending() == rows) {
                logitRows[sampled.size()] = count - 1;
                sampled.add(sequence);
            }
        }

        Batch build() {
            BatchRows rows = new BatchRows(count, positions, pages);
            return new Batch(ids, rows, List.copyOf(parts), Arrays.copyOf(logitRows, sampled.size()), sampled);
        }
    }
}
