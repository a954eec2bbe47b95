package dev.demitasse.device;

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
public record AttentionShape(int heads, int kvHeads, int headDim, float scale, float softCap, int window) {}
