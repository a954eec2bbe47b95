package dev.demitasse.cli;

import dev.demitasse.exception.DemitasseException;

/** Standard output that takes no more: its disk is full, or its reader has gone. */
final class OutputException extends DemitasseException {
    private static final long serialVersionUID = 1L;

    private final boolean readerGone;

    OutputException(String message, boolean readerGone) {
        super(message);
        this.readerGone = readerGone;
    }

    /** Whether the reader has gone, which is no news to anyone. */
    boolean readerGone() {
        return readerGone;
    }
}
