package dev.demitasse;

import dev.demitasse.sampling.Constraint;

/**
 * Lets an answer end as well by a token that its model would write next, where that is no text: it counts for the end
 * token.
 */
final class EndingConstraint implements Constraint {
    private final Constraint constraint;
    private final int next;
    private final int end;

    /**
     * Of an answer that another constraint follows.
     *
     * @param next what the model would write next
     * @param end what ends an answer
     */
    EndingConstraint(Constraint constraint, int next, int end) {
        this.constraint = constraint;
        this.next = next;
        this.end = end;
    }

    @Override
    public void restrict(float[] logits, int[] tokens, int from, int count) {
        logits[end] = Math.max(logits[end], logits[next]);
        constraint.restrict(logits, tokens, from, count);
    }

    @Override
    public void accept(int token) {
        constraint.accept(token);
    }

    @Override
    public boolean isComplete() {
        return constraint.isComplete();
    }
}
