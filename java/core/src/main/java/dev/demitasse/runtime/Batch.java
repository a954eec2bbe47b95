package dev.demitasse.runtime;

import dev.demitasse.device.BatchRows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The rows of one forward pass: one or more sequences, each with one or more new tokens. Scheduling makes it, the
 * forward pass runs it, and only then {@link Part#commit} tells the sequences that their rows are in the cache.
 *
 * @param ids token of each row
 * @param rows where the rows stand
 * @param parts the sequences, and how many rows each has
 * @param logitRows rows whose logits choose a next token
 * @param sampled the sequence of each of {@code logitRows}
 * @param choices of each of {@code parts}: which of {@code sampled} its first is, or -1
 */
record Batch(int[] ids, BatchRows rows, List<Part> parts, int[] logitRows, List<Sequence> sampled, int[] choices) {
    /**
     * The rows of one sequence.
     *
     * @param rows of tokens that it has
     * @param again those of them that were run before
     * @param drafts rows behind those, of tokens that it may get
     */
    record Part(Sequence sequence, int rows, int again, int drafts) {
        /** Its rows were run: their keys and values are in the cache. */
        void commit() {
            sequence.cached(sequence.cached() + rows);
        }
    }

    /** Drafts of its sequence before the row of a choice. */
    int draftsBefore(int choice) {
        int first = choice;
        while (first > 0 && sampled.get(first - 1) == sampled.get(choice)) {
            first--;
        }
        return choice - first;
    }

    /** Whether every sequence has one new token. */
    boolean isDecoding() {
        return !parts.isEmpty() && parts.stream().allMatch(part -> part.rows == 1 + part.again);
    }

    /**
     * The batch after this one, where all of its sequences get a token: one row each, in the order of
     * {@link #sampled}, whose tokens are not known yet. Their pages are reserved.
     */
    Batch following() {
        Builder next = new Builder(sampled.size());
        parts.forEach(part -> next.addUnknown(part.sequence, part.sequence.cached() + part.rows));
        return next.build();
    }

    /** Collects the rows. */
    static final class Builder {
        private final int[] ids;
        private final int[] positions;
        private final int[][] pages;
        private final int[] logitRows;
        private final int[] choices;
        private final List<Part> parts = new ArrayList<>();
        private final List<Sequence> sampled = new ArrayList<>();
        private int count;

        Builder(int maximumRows) {
            ids = new int[maximumRows];
            positions = new int[maximumRows];
            pages = new int[maximumRows][];
            logitRows = new int[maximumRows];
            choices = new int[maximumRows];
        }

        int free() {
            return ids.length - count;
        }

        /** Adds the next {@code rows} pending tokens of a sequence, and its drafts, whose pages are reserved. */
        void add(Sequence sequence, int rows) {
            boolean isSampled = sequence.pending() == rows;
            int drafts = isSampled ? sequence.drafted() : 0;
            for (int i = 0; i < rows + drafts; i++) {
                int position = sequence.cached() + i;
                ids[count] = sequence.token(position);
                place(sequence, position);
            }
            addPart(sequence, rows, drafts, isSampled);
        }

        /** Adds the token at {@code position}, which is being chosen. */
        void addUnknown(Sequence sequence, int position) {
            place(sequence, position);
            addPart(sequence, 1, 0, true);
        }

        private void place(Sequence sequence, int position) {
            positions[count] = position;
            pages[count++] = sequence.pages.pages();
        }

        private void addPart(Sequence sequence, int rows, int drafts, boolean isSampled) {
            parts.add(new Part(sequence, rows, Math.min(sequence.again(), rows), drafts));
            choices[parts.size() - 1] = isSampled ? sampled.size() : -1;
            for (int i = drafts; isSampled && i >= 0; i--) {
                logitRows[sampled.size()] = count - 1 - i;
                sampled.add(sequence);
            }
        }

        Batch build() {
            BatchRows rows = new BatchRows(count, positions, pages);
            return new Batch(ids, rows, List.copyOf(parts), Arrays.copyOf(logitRows, sampled.size()), sampled, choices);
        }
    }
}
