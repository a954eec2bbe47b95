package dev.demitasse.sampling;

/** What tokens of one answer may come next. Used by one thread at a time. */
public interface Constraint {
    /**
     * Makes the logits of tokens that may not come minus infinity. Where the tried tokens themselves may not come, none
     * is changed: nothing will be chosen behind them.
     *
     * @param logits one a token of the vocabulary
     * @param tokens the tokens that are tried behind those that were accepted are among them
     * @param from the first of them
     * @param count how many they are
     */
    void restrict(float[] logits, int[] tokens, int from, int count);

    /**
     * A token was chosen.
     *
     * @param token its id
     */
    void accept(int token);

    /** {@return whether nothing can follow but the end} */
    boolean isComplete();
}
