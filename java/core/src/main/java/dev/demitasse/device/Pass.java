package dev.demitasse.device;

/**
 * Operations that come again with other tokens and rows: the layers of a forward pass. A device that records may keep
 * what it has made of them ({@link Device#run}).
 */
public interface Pass {
    /** The table that its tokens index. */
    LinearWeight table();

    /** The cache that its rows stand in; of several, which have as many pages, one. */
    KvStore kv();

    /**
     * Calls the operations. For as many rows they are always the same ones, on the same buffers, weights and caches; of
     * all numbers that they are given, only those of {@code ids} and {@code rows} may differ.
     */
    void operations(TokenIds ids, BatchRows rows);
}
