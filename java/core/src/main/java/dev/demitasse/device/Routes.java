package dev.demitasse.device;

/**
 * Which experts the rows of a batch have, and with which weights: {@link Device#route} writes it, and what experts do
 * reads it, so that the choice need not come to the host. A row's choice of one expert is a place among the rows that
 * {@link Device#dispatch} writes: places of an expert lie behind each other, in the order of their rows.
 */
public interface Routes extends AutoCloseable {
    /** {@return how experts are chosen} */
    Routing routing();

    /** {@return room, in rows} */
    int maximumRows();

    /**
     * {@return places that so many rows take, those between experts included where a device leaves some: what buffers
     * of places must have room for}
     *
     * @param rows how many rows, at most {@link #maximumRows}
     */
    int places(int rows);

    /** {@return the same of the rows that were routed last, where that is known} */
    int places();

    @Override
    void close();
}
