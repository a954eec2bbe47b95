package dev.demitasse.grammar;

import dev.demitasse.sampling.Constraint;
import java.util.Arrays;

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
        for (int first = 0; first < logits.length; first += Long.SIZE) {
            int to = Math.min(first + Long.SIZE, logits.length);
            long bits = first / Long.SIZE < allowed.length ? allowed[first / Long.SIZE] : 0;
            if (bits == 0) {
                Arrays.fill(logits, first, to, Float.NEGATIVE_INFINITY);
                continue;
            }
            for (long left = ~bits; left != 0; left &= left - 1) {
                int token = first + Long.numberOfTrailingZeros(left);
                if (token < to) {
                    logits[token] = Float.NEGATIVE_INFINITY;
                }
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
