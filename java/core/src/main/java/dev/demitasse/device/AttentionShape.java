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
 * @param window positions that a query sees, itself included; 0 for all
 */
public record AttentionShape(int heads, int kvHeads, int headDim, float scale, float softCap, int window) {
    /**
     * Checks that a cache has these heads.
     *
     * @throws UsageException where it has others
     */
    public void requireFits(KvShape shape) {
        boolean valid = headDim == shape.headDim()
                && kvHeads == shape.kvHeads()
                && heads >= 1
                && heads % kvHeads == 0
                && window >= 0;
        if (!valid) {
            throw new UsageException(this + " does not fit the cache, " + shape + ".");
        }
    }
}
