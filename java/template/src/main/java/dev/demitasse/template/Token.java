package dev.demitasse.template;

/**
 * A token of a template.
 *
 * @param kind what it is
 * @param text the text, name, operator or decoded string
 * @param line where it is, from 1
 */
record Token(Kind kind, String text, int line) {
    enum Kind {
        /** Text outside of tags. */
        TEXT,
        /** Begin of <code>{{</code>. */
        OUTPUT_BEGIN,
        /** Begin of <code>{%</code>. */
        BLOCK_BEGIN,
        /** End of either. */
        TAG_END,
        /** A name or keyword. */
        NAME,
        /** A string literal, decoded. */
        STRING,
        /** An integer or floating-point literal. */
        NUMBER,
        /** An operator or bracket. */
        OPERATOR,
        /** The end of the template. */
        END
    }

    boolean is(Kind wanted, String wantedText) {
        return kind == wanted && text.equals(wantedText);
    }
}
