package dev.demitasse.quantize;

/** Hears how far a text is. */
@FunctionalInterface
public interface WindowListener {
    /**
     * A window is run.
     *
     * @param done windows that are run so far, from 1
     * @param total windows of the text
     */
    void ran(int done, int total);
}
