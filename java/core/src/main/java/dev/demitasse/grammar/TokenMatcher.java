package dev.demitasse.grammar;

import dev.demitasse.sampling.Constraint;

/** Follows one answer through a grammar. */
final class TokenMatcher implements Constraint {
    private final TokenMasks masks;
    private ParserState state;
    private boolean ended;

    TokenMatcher(TokenMasks masks) {
        this.masks = masks;
        state = masks.start();
    }

    @Override
    public void restrict(float[] logits, int[] tokens, int from, int count) {
        ParserState at = state;
        for (int i = from; i < from + count; i++) {
            at = masks.next(at, tokens[i]);
        }
        if (at == ParserState.DEAD) {
            return;
        }
        long[] allowed = masks.allowed(at);
        for (int token = 0; token < logits.length; token++) {
            if (token >> 6 >= allowed.length || (allowed[token >> 6] >> token & 1) == 0) {
                logits[token] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    @Override
    public void accept(int token) {
        ended |= masks.isEnd(token);
        if (!ended) {
            state = masks.next(state, token);
        }
    }

    @Override
    public boolean isComplete() {
        return ended || state.isComplete();
    }
}
