package dev.demitasse.exception;

/** A sound model file that needs something Demitasse does not have: an architecture, a tensor type, a tokenizer. */
public final class UnsupportedModelException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public UnsupportedModelException(String message) {
        super(message);
    }

    /**
     * The same, with what caused it.
     *
     * @param message what was wrong, where, and what to do
     * @param cause what caused it
     */
    public UnsupportedModelException(String message, Throwable cause) {
        super(message, cause);
    }
}
