package dev.demitasse.exception;

/** A model that could not be fetched. */
public final class FetchException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception.
     *
     * @param message what was wrong, where, and what to do
     */
    public FetchException(String message) {
        super(message);
    }

    /**
     * An exception with a cause.
     *
     * @param message what was wrong, where, and what to do
     * @param cause what caused it
     */
    public FetchException(String message, Throwable cause) {
        super(message, cause);
    }
}
