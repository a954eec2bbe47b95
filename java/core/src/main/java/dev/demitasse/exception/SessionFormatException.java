package dev.demitasse.exception;

/** A file of a saved session that is damaged, or of another model. The message names the file and what is wrong. */
public final class SessionFormatException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public SessionFormatException(String message) {
        super(message);
    }
}
