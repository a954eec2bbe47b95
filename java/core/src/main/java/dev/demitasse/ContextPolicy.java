package dev.demitasse;

/** What happens where a conversation, or an answer, has no more room in the context ({@link Model#contextLength}). */
public enum ContextPolicy {
    /**
     * A prompt that is too long is refused, by a {@link dev.demitasse.exception.ContextFullException}; an answer ends
     * where the context does, with {@link dev.demitasse.sampling.FinishReason#LENGTH}.
     */
    FAIL,
    /**
     * The model does not read the oldest turns of a chat any more, down to half of the context at once; what a system
     * says and the last question stay, and {@link Session#history} keeps everything. An answer ends where the context
     * does. A text that is continued is cut, as with {@link #SLIDE}.
     */
    DROP_OLDEST,
    /**
     * As {@link #DROP_OLDEST}; and an answer that comes to the end of the context goes on: the model reads anew the
     * first eighth of the context, and what fits into half of it from the end.
     */
    SLIDE
}
