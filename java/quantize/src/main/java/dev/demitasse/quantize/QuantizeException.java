package dev.demitasse.quantize;

import dev.demitasse.exception.DemitasseException;

/** A model could not be written: the disk is full, say. Nothing under the final name has changed. */
public final class QuantizeException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what went wrong, where, and what to do.
     *
     * @param message what went wrong, where, and what to do
     */
    public QuantizeException(String message) {
        super(message);
    }

    /**
     * The same, with what caused it.
     *
     * @param message what went wrong, where, and what to do
     * @param cause what caused it
     */
    public QuantizeException(String message, Throwable cause) {
        super(message, cause);
    }
}
