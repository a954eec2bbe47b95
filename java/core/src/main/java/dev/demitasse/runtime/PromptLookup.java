package dev.demitasse.runtime;

/**
 * Drafts of the next tokens without a model: where the last tokens stood before, what followed them there (Saxena,
 * "Prompt Lookup Decoding", 2023). Summaries, edits and answers about a text repeat much of it.
 */
final class PromptLookup {
    /** Tokens that must be the same, so that what followed is worth a row. */
    private static final int LEAST_MATCH = 3;
    /** Tokens beyond which a longer match tells nothing more. */
    private static final int MOST_MATCH = 16;

    private PromptLookup() {}

    /**
     * Where the longest end of the tokens stood before, the last such place.
     *
     * @param length how many of {@code tokens} count
     * @return where what followed begins, below {@code length}; -1 where there is nothing
     */
    static int find(int[] tokens, int length) {
        int longest = LEAST_MATCH - 1;
        int found = -1;
        for (int end = length - 1; end >= LEAST_MATCH && longest < MOST_MATCH; end--) {
            int match = 0;
            int most = Math.min(MOST_MATCH, end);
            while (match < most && tokens[end - 1 - match] == tokens[length - 1 - match]) {
                match++;
            }
            if (match > longest) {
                longest = match;
                found = end;
            }
        }
        return found;
    }
}
