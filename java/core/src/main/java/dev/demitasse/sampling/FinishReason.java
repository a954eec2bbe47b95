package dev.demitasse.sampling;

import java.util.Locale;

/** Why a generation ended. */
public enum FinishReason {
    /** The model ended it, or a stop string came. */
    STOP,
    /** The wanted number of tokens, or the end of the context, was reached. */
    LENGTH,
    /** It was cancelled, or the thread that waited for it was interrupted. */
    CANCELLED,
    /** The time that it was given was over. */
    DEADLINE;

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
