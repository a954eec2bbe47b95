package dev.demitasse.model;

/** The states of a sequence that are kept beside the one that goes on with every row. */
public enum KeptState {
    /** As it was at a page's end near the end of the prompt, from where another prompt may go on. */
    PROMPT,
    /** As it was at a page's end near where another prompt parted from this one, from where a third may go on. */
    BRANCH,
    /** As it was before a pass with drafts, some of which may be wrong. */
    DRAFTS
}
