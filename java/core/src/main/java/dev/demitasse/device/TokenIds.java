package dev.demitasse.device;

/** The token of each row of a batch. */
public sealed interface TokenIds {
    /** Ids that the host knows, at least as many as the batch has rows. */
    record Given(int[] ids) implements TokenIds {}

    /**
     * Ids that {@link Device#sample} writes: the first of {@code tokens}, in order. One that is
     * {@link dev.demitasse.sampling.Draw#NONE} counts as 0.
     */
    record Chosen(TokenBuffer tokens) implements TokenIds {}
}
