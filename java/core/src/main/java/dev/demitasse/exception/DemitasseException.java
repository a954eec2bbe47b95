package dev.demitasse.exception;

/** The root of everything Demitasse throws on purpose. */
public abstract class DemitasseException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public DemitasseException(String message) {
        super(message);
    }

    /**
     * The same, with what caused it.
     *
     * @param message what was wrong, where, and what to do
     * @param cause what caused it
     */
    public DemitasseException(String message, Throwable cause) {
        super(message, cause);
    }
}
