package dev.demitasse.exception;

/** An answer that was to have a form ended before it was whole: at its limit of tokens, its deadline, or cancelled. */
public final class IncompleteAnswerException extends DemitasseException {
    private static final long serialVersionUID = 1;

    /**
     * With what the answer was so far, and why it ended.
     *
     * @param message what the answer was so far, and why it ended
     */
    public IncompleteAnswerException(String message) {
        super(message);
    }
}
