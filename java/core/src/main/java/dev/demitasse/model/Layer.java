package dev.demitasse.model;

/**
 * What differs between the layers of a model.
 *
 * @param window positions that its attention sees, 0 for all
 * @param queryRope which of {@link ModelConfig#ropes} rotates its queries, or {@link #NO_ROPE}
 * @param keyRope which of them rotates its keys, or {@link #NO_ROPE}
 */
public record Layer(int window, int queryRope, int keyRope) {
    /** Queries or keys that are not rotated. */
    public static final int NO_ROPE = -1;
}
