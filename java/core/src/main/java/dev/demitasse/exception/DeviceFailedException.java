package dev.demitasse.exception;

/** A device that has failed while it worked, and cannot be used any more; the message says what it reported. */
public final class DeviceFailedException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    /**
     * An exception with a message that says what was wrong, where, and what to do.
     *
     * @param message what was wrong, where, and what to do
     */
    public DeviceFailedException(String message) {
        super(message);
    }
}
