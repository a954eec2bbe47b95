package dev.demitasse.embedding;

/** What of a text's rows is its embedding, or what its score comes from. */
public enum Pooling {
    /** Nothing that the file says. */
    NONE(0),
    /** The mean of all rows. */
    MEAN(1),
    /** The first row. */
    CLS(2),
    /** The last row. */
    LAST(3),
    /** A score: of the first row, or of the last one where attention is causal. */
    RANK(4);

    private final int id;

    Pooling(int id) {
        this.id = id;
    }

    /** {@return its number in files ({@code pooling_type})} */
    public int id() {
        return id;
    }
}
