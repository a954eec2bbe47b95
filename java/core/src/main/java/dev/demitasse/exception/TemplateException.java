package dev.demitasse.exception;

/** A chat template that is malformed, raises an error, or runs into a limit. */
public final class TemplateException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public TemplateException(String message) {
        super(message);
    }

    /**
     * The same, with what caused it.
     *
     * @param message what was wrong, where, and what to do
     * @param cause what caused it
     */
    public TemplateException(String message, Throwable cause) {
        super(message, cause);
    }
}
