package dev.demitasse.exception;

/** A model file that is damaged or contradicts itself. The message names the file and the place in it. */
public final class ModelFormatException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public ModelFormatException(String message) {
        super(message);
    }

    /**
     * The same, with what caused it.
     *
     * @param message what was wrong, where, and what to do
     * @param cause what caused it
     */
    public ModelFormatException(String message, Throwable cause) {
        super(message, cause);
    }
}
