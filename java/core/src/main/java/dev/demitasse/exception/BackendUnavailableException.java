package dev.demitasse.exception;

/** No device could be opened; the message lists every backend that was asked and its reason. */
public final class BackendUnavailableException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public BackendUnavailableException(String message) {
        super(message);
    }

    /**
     * The same, with what caused it.
     *
     * @param message what was wrong, where, and what to do
     * @param cause what caused it
     */
    public BackendUnavailableException(String message, Throwable cause) {
        super(message, cause);
    }
}
