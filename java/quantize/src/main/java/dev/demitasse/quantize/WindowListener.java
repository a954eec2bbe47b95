package dev.demitasse.quantize;

/** Hears how far a text is. */
@FunctionalInterface
public interface WindowListener {
    /** {@code done} of {@code total} windows are run. */
    void ran(int done, int total);
}
