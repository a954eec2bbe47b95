package dev.demitasse.fetch;

/** Hears how far a download is. */
@FunctionalInterface
public interface Transfer {
    /**
     * Some bytes have come.
     *
     * @param done bytes that are there, those of an earlier try among them
     * @param total bytes of the file, of several files each its own; 0 or less where that is not known
     */
    void moved(long done, long total);
}
