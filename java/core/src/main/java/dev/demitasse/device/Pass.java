package dev.demitasse.device;

/**
 * Operations that come again with other tokens and rows: the layers of a forward pass. A device that records may keep
 * what it has made of them ({@link Device#run}).
 */
public interface Pass {
    /** {@return the table that its tokens index} */
    LinearWeight table();

    /** {@return the cache that its rows stand in; of several, which have as many pages, one} */
    KvStore kv();

    /**
     * Calls the operations. For as many rows they are always the same ones, on the same buffers, weights and caches; of
     * all numbers that they are given, only those of {@code ids} and {@code rows} may differ.
     *
     * @param ids the token of each row
     * @param rows where the rows stand
     */
    void operations(TokenIds ids, BatchRows rows);
}
