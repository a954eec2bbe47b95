package dev.demitasse;

/** Hears how far a download is ({@link Models#fetch(String, FetchListener)}). */
@FunctionalInterface
public interface FetchListener {
    /**
     * Some bytes have come.
     *
     * @param done bytes that are there, those of an earlier try among them
     * @param total bytes of the file, of several files each its own; 0 or less where that is not known
     */
    void fetched(long done, long total);
}
