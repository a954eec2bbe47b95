package dev.demitasse.grammar;

import dev.demitasse.sampling.Constraint;

/** Which tokens of a vocabulary a grammar lets come next. Thread-safe. */
public final class TokenMasks {
    private static final long MOST_BYTES = 64L << 20; // of masks that are kept

    private final ByteParser parser;
    private final TokenIndex index;
    private long bytes;

    /**
     * Of a grammar and a vocabulary.
     *
     * @throws dev.demitasse.exception.UsageException where the grammar contradicts itself, or is too large
     */
    public TokenMasks(Language language, TokenIndex index) {
        this.parser = new ByteParser(language.program());
        this.index = index;
    }

    /** Follows an answer from its first token on. */
    public Constraint newConstraint() {
        return new TokenMatcher(this);
    }

    synchronized ParserState start() {
        return parser.start();
    }

    /** The tokens that may follow, as bits; not to be changed. */
    synchronized long[] allowed(ParserState state) {
        ParserState at = parser.fresh(state);
        long[] allowed = at.allowed;
        if (allowed == null) {
            if (bytes > MOST_BYTES) {
                parser.forget();
                bytes = 0;
                at = parser.fresh(at);
            }
            ParserState twin = parser.twin(at);
            boolean known = twin.alike != null;
            allowed = index.allowed(at, twin, parser);
            at.allowed = allowed;
            boolean first = !known && twin.alike != null; // of its kind, and kept beside
            bytes += (first ? 2L : 1L) * allowed.length * Long.BYTES;
        }
        return allowed;
    }

    /** The state behind a token. */
    synchronized ParserState next(ParserState state, int token) {
        byte[] of = index.bytes(token);
        ParserState at = of.length == 0 ? ParserState.DEAD : parser.fresh(state);
        for (byte each : of) {
            at = at == ParserState.DEAD ? at : parser.next(at, each);
        }
        return at;
    }

    boolean isEnd(int token) {
        return index.isEnd(token);
    }
}
