package dev.demitasse.cli;

import dev.demitasse.exception.DemitasseException;

/** A model that could not be fetched. */
final class PullException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    PullException(String message) {
        super(message);
    }

    PullException(String message, Throwable cause) {
        super(message, cause);
    }
}
