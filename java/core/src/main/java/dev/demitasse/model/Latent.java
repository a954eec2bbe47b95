package dev.demitasse.model;

/**
 * The dimensions of latent attention ({@link Mixer.LatentAttention}).
 *
 * @param queryRank elements that queries are compressed to; 0 where they are not
 * @param rank elements of the vector that stands for the keys and values of all heads
 * @param keyDim elements of a head's query that are not rotated
 * @param ropeDim elements of a head's query that are; even
 * @param valueDim elements of a head's value
 */
public record Latent(int queryRank, int rank, int keyDim, int ropeDim, int valueDim) {
    /** Elements of a key in the cache: the latent vector and the part that is rotated. */
    public int headDim() {
        return rank + ropeDim;
    }
}
