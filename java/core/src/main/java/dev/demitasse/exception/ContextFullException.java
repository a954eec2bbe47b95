package dev.demitasse.exception;

/** A prompt or conversation that is longer than the context. */
public final class ContextFullException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public ContextFullException(String message) {
        super(message);
    }

    /**
     * The same, with what caused it.
     *
     * @param message what was wrong, where, and what to do
     * @param cause what caused it
     */
    public ContextFullException(String message, Throwable cause) {
        super(message, cause);
    }
}
