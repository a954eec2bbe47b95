package dev.demitasse.device;

/** The token of each row of a batch. */
public sealed interface TokenIds {
    /**
     * Ids that the host knows.
     *
     * @param ids a token a row, at least as many as the batch has rows
     */
    record Given(int[] ids) implements TokenIds {}

    /**
     * Ids that {@link Device#sample} writes. One that is {@link dev.demitasse.sampling.Draw#NONE} counts as 0.
     *
     * @param tokens a token a row, from its first on
     */
    record Chosen(TokenBuffer tokens) implements TokenIds {}
}
