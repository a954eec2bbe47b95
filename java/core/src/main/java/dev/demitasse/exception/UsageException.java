package dev.demitasse.exception;

/**
 * A call that breaks the rules of the API: on something closed, from two threads at once, or with an argument out of
 * range.
 */
public final class UsageException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public UsageException(String message) {
        super(message);
    }

    /**
     * The same, with what caused it.
     *
     * @param message what was wrong, where, and what to do
     * @param cause what caused it
     */
    public UsageException(String message, Throwable cause) {
        super(message, cause);
    }
}
