package dev.demitasse.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/**
 * The tokens of a vocabulary by their UTF-8 bytes, in order: those that begin with the bytes read so far are neighbors,
 * and a step narrows them down. A walk ends where no token goes on. Tokens of more than {@link #LONGEST} bytes are
 * left out: a text that goes on as one does would be walked from each of its bytes, each time to its end.
 */
final class SortedTokens {
    private static final int LONGEST = 1024;

    private final byte[][] tokens;
    private final int[] ids;

    /** Those tokens of a vocabulary that {@code wanted} takes; of equal ones the first. */
    SortedTokens(Vocabulary vocabulary, IntPredicate wanted) {
        record Entry(byte[] bytes, int id) {}
        Entry[] entries = IntStream.range(0, vocabulary.size())
                .filter(wanted)
                .mapToObj(id -> new Entry(vocabulary.token(id).getBytes(StandardCharsets.UTF_8), id))
                .filter(entry -> entry.bytes.length > 0 && entry.bytes.length <= LONGEST)
                .sorted(Comparator.comparing(Entry::bytes, Arrays::compareUnsigned)
                        .thenComparingInt(Entry::id))
                .toArray(Entry[]::new);
        tokens = new byte[entries.length][];
        ids = new int[entries.length];
        for (int i = 0; i < entries.length; i++) {
            tokens[i] = entries[i].bytes;
            ids[i] = entries[i].id;
        }
    }

    /** A walk over a text's bytes. */
    final class Walk {
        private int from;
        private int to;
        private int depth;

        /** Begins anew. */
        void begin() {
            from = 0;
            to = tokens.length;
            depth = 0;
        }

        /** Goes on with a byte; whether tokens begin with what was read. */
        boolean step(byte next) {
            from = bound(next & 0xFF);
            to = bound((next & 0xFF) + 1);
            depth++;
            return from < to;
        }

        /** The first of the tokens in question whose next byte is at least {@code least}. */
        private int bound(int least) {
            int low = from;
            int high = to;
            while (low < high) {
                int middle = (low + high) >>> 1;
                byte[] token = tokens[middle];
                int value = token.length > depth ? token[depth] & 0xFF : -1;
                if (value < least) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            return low;
        }

        /** The token that was read, or {@link Vocabulary#NONE}. */
        int token() {
            return tokens[from].length == depth ? ids[from] : Vocabulary.NONE;
        }
    }
}
