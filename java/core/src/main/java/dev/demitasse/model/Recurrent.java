package dev.demitasse.model;

/**
 * The layers of a model that keep a state of a fixed size for each sequence, instead of keys and values of every
 * position: causal convolutions, and the matrices of gated delta nets and of selective state spaces. A state cannot be
 * cut back to an earlier position.
 *
 * @param layers how many there are
 * @param channels of the convolution
 * @param kernel positions that it sees, the row's own included
 * @param keyHeads heads of queries and keys, of a state space: groups of B and C; 0 where there is none
 * @param heads of its values
 * @param headDim elements of a head
 * @param stateDim elements of a head's keys: a state has {@code stateDim} × {@code headDim} numbers a head
 * @param grouped whether neighboring heads of values share keys, else those that are {@code keyHeads} apart
 */
public record Recurrent(
        int layers, int channels, int kernel, int keyHeads, int heads, int headDim, int stateDim, boolean grouped) {
    /** Numbers that a sequence's convolution keeps in a layer. */
    public long convolutionElements() {
        return (kernel - 1L) * channels;
    }

    /** Numbers that a sequence's matrices have in a layer. */
    public long matrixElements() {
        return (long) heads * headDim * stateDim;
    }

    /** How often a sequence has a state: as it is, and those that are kept. */
    public static int copies() {
        return 1 + KeptState.values().length;
    }

    /** Bytes of a sequence's state, and of those that are kept. */
    public long bytesPerSequence() {
        return copies() * (long) layers * (convolutionElements() + matrixElements()) * Float.BYTES;
    }
}
