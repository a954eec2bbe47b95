package dev.demitasse.tokenizer;

import dev.demitasse.gguf.Metadata;
import java.util.PriorityQueue;

/**
 * Byte-pair encoding's merges (Sennrich, Haddow and Birch, 2016): of all neighbors that the file's list has, those that
 * come first there are merged, the leftmost of equals. A piece of n symbols takes O(n log n).
 */
final class PairMerges {
    private final MergeTable table;

    /** Reads {@code tokenizer.ggml.merges}. */
    PairMerges(Metadata metadata, Vocabulary vocabulary) {
        String[] list = metadata.strings("tokenizer.ggml.merges");
        if (list == null) {
            throw metadata.bad("tokenizer.ggml.merges", "is missing; a BPE tokenizer needs it");
        }
        table = new MergeTable(list.length);
        for (int rank = 0; rank < list.length; rank++) {
            int space = list[rank].indexOf(' ', 1);
            if (space < 0) {
                throw metadata.bad("tokenizer.ggml.merges", "has an entry without two parts: \"" + list[rank] + "\"");
            }
            int left = vocabulary.id(list[rank].substring(0, space));
            int right = vocabulary.id(list[rank].substring(space + 1));
            int merged = vocabulary.id(list[rank].substring(0, space).concat(list[rank].substring(space + 1)));
            if (left != Vocabulary.NONE && right != Vocabulary.NONE && merged != Vocabulary.NONE) {
                table.put(left, right, rank, merged);
            }
        }
    }

    /** A candidate merge: the pair that began at {@code position} when it was queued. */
    private record Candidate(int rank, int position) implements Comparable<Candidate> {
        @Override
        public int compareTo(Candidate other) {
            return rank != other.rank ? Integer.compare(rank, other.rank) : Integer.compare(position, other.position);
        }
    }

    /**
     * Merges symbols in place.
     *
     * @param symbols ids, of which {@code n} count, or numbers beyond the vocabulary, which merge with nothing
     * @return how many are left
     */
    int merge(int[] symbols, int n) {
        int[] next = new int[n];
        int[] previous = new int[n];
        PriorityQueue<Candidate> queue = new PriorityQueue<>(Math.max(1, n));
        for (int i = 0; i < n; i++) {
            next[i] = i + 1;
            previous[i] = i - 1;
            enqueue(queue, symbols, i, i + 1, n);
        }
        while (!queue.isEmpty()) {
            Candidate candidate = queue.remove();
            int left = candidate.position;
            int right = symbols[left] < 0 ? n : next[left];
            if (right >= n) {
                continue;
            }
            long found = table.find(symbols[left], symbols[right]);
            if (found == MergeTable.ABSENT || (int) (found >> 32) != candidate.rank) {
                continue; // one of the two was merged meanwhile
            }
            symbols[left] = (int) found;
            symbols[right] = Vocabulary.NONE;
            next[left] = next[right];
            if (next[left] < n) {
                previous[next[left]] = left;
            }
            enqueue(queue, symbols, left, next[left], n);
            if (previous[left] >= 0) {
                enqueue(queue, symbols, previous[left], left, n);
            }
        }
        int left = 0;
        for (int i = 0; i < n; i = next[i]) {
            symbols[left++] = symbols[i];
        }
        return left;
    }

    private void enqueue(PriorityQueue<Candidate> queue, int[] symbols, int left, int right, int n) {
        if (right < n) {
            long found = table.find(symbols[left], symbols[right]);
            if (found != MergeTable.ABSENT) {
                queue.add(new Candidate((int) (found >> 32), left));
            }
        }
    }
}
