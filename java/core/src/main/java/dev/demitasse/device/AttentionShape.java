package dev.demitasse.device;

import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;

/**
 * One layer's attention.
 *
 * @param heads query heads
 * @param kvHeads key and value heads; divides {@code heads}
 * @param headDim elements of a head
 * @param scale multiplies query · key
 * @param softCap c in c tanh(score / c), or 0 for none
 * @param window positions up to its own that a query sees, itself included; 0 for all; -n for those of its run of n:
 *     positions from 0, n, 2 n and so on (attention in chunks); n is a power of two
 * @param ahead positions after its own that a query sees too, as far as the batch has rows of its sequence; 0 for none
 *     (causal attention)
 */
public record AttentionShape(int heads, int kvHeads, int headDim, float scale, float softCap, int window, int ahead) {
    /** The most positions ahead: a sum of two positions stays a 32-bit integer. */
    public static final int MOST_AHEAD = 1 << 30;

    /**
     * Causal attention.
     *
     * @param heads query heads
     * @param kvHeads key and value heads; divides {@code heads}
     * @param headDim elements of a head
     * @param scale multiplies query · key
     * @param softCap c in c tanh(score / c), or 0 for none
     * @param window positions up to its own that a query sees, itself included; 0 for all; -n for those of its run of n
     */
    public AttentionShape(int heads, int kvHeads, int headDim, float scale, float softCap, int window) {
        this(heads, kvHeads, headDim, scale, softCap, window, 0);
    }

    /**
     * {@return the first position that the query at {@code position} sees}
     *
     * @param position of the query, from 0
     */
    public int firstSeen(int position) {
        if (window < 0) {
            return position & window;
        }
        return window == 0 ? 0 : Math.max(0, position - window + 1);
    }

    /**
     * {@return the last position that the query at {@code position} sees}
     *
     * @param position of the query, from 0
     * @param end the last position of its sequence in the batch
     */
    public int lastSeen(int position, int end) {
        return Math.min(position + ahead, end);
    }

    /**
     * Checks that a cache has these heads.
     *
     * @param shape of the cache
     * @throws UsageException where it has others
     */
    public void requireFits(KvShape shape) {
        boolean valid = headDim == shape.headDim()
                && kvHeads == shape.kvHeads()
                && heads >= 1
                && heads % kvHeads == 0
                && (window >= 0 || ahead == 0 && Integer.bitCount(-window) == 1)
                && ahead >= 0
                && ahead <= MOST_AHEAD;
        if (!valid) {
            throw new UsageException(this + " does not fit the cache, " + shape + ".");
        }
    }
}
