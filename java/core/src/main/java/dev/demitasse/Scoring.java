package dev.demitasse;

import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.Sequence;
import java.util.Arrays;

/**
 * A text that a model scores piece by piece: what the pieces before left in the cache, where others have not taken it
 * since, is not computed again, so that two models can be compared along a long text without holding all of its logits.
 * Not thread-safe.
 */
public final class Scoring implements AutoCloseable {
    private final Engine engine;
    private final Sequence sequence = new Sequence();
    private int[] tokens = new int[0];

    Scoring(Engine engine) {
        this.engine = engine;
    }

    /**
     * Runs further tokens of the text.
     *
     * @param further ids of the tokens, those of earlier calls not among them
     * @param from index in {@code further} of the first whose logits are wanted; computing logits takes time
     * @param visitor receives the text's position and the logits after it
     * @throws dev.demitasse.exception.ContextFullException where the text is longer than the context
     * @throws dev.demitasse.exception.NumericalException where all logits of a position are NaN
     */
    public void append(int[] further, int from, Model.LogitsVisitor visitor) {
        int[] all = Arrays.copyOf(tokens, tokens.length + further.length);
        System.arraycopy(further, 0, all, tokens.length, further.length);
        engine.evaluate(sequence, all, tokens.length + from, visitor::visit);
        tokens = all;
    }

    /** {@return tokens so far} */
    public int length() {
        return tokens.length;
    }

    /** Gives the cache's pages back. */
    @Override
    public void close() {
        engine.close(sequence);
    }
}
