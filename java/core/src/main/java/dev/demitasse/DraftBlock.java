package dev.demitasse;

/**
 * Whether a model's own block that drafts tokens (multi-token prediction) is loaded, where its file has one. It takes
 * memory for its weights and for a layer's keys and values.
 */
public enum DraftBlock {
    /**
     * Where answers have drafts unless told otherwise: on CPU devices. A block that cannot be read is left out, and the
     * reason logged.
     */
    AUTO,
    /** Loaded; a file whose block cannot be read is refused. */
    ON,
    /** Left out. */
    OFF
}
