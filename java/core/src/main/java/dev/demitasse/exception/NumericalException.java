package dev.demitasse.exception;

/**
 * Numbers that are NaN where a result needs some; the message says, as far as it is known, where they stopped being
 * finite.
 */
public final class NumericalException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public NumericalException(String message) {
        super(message);
    }

    /**
     * The same, with what caused it.
     *
     * @param message what was wrong, where, and what to do
     * @param cause what caused it
     */
    public NumericalException(String message, Throwable cause) {
        super(message, cause);
    }
}
