package dev.demitasse;

import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import java.util.Locale;

/**
 * What a model takes once it is loaded, about, told before anything is.
 *
 * @param weights bytes of the weights: on a GPU ({@link ModelSize#gpuBytes}), else in the file, which is about as many
 * @param cache bytes of the keys and values of all sequences
 * @param states bytes of their states
 * @param sequences how many there are
 * @param context positions of each
 */
record MemoryNeed(long weights, long cache, long states, int sequences, int context) {
    private static final double MEBI = 1 << 20;

    /**
     * Of an open file.
     *
     * @param drafting whether its draft block is loaded, if it has one
     * @param gpu whether weights lie as GPUs have them
     */
    static MemoryNeed of(Gguf file, ModelOptions options, int context, boolean drafting, boolean gpu) {
        ModelSize size = ModelSize.of(file);
        boolean drafts = drafting && size.draftBytes() > 0;
        long sequences = options.sequences();
        long position = Hyperparameters.read(file, 0).kvBytesPerPosition(options.kvType(), drafts);
        long inFile = file.tensors().stream()
                .map(GgufTensor::data)
                .mapToLong(data -> data.byteSize())
                .sum();
        long weights = gpu ? size.gpuBytes() : inFile - size.draftBytes();
        return new MemoryNeed(
                drafts ? weights + size.draftBytes() : weights,
                sequences * context * position,
                sequences * size.stateBytes(),
                options.sequences(),
                context);
    }

    /** Whether it does not fit beside what others have. */
    boolean exceeds(long free) {
        return weights + cache + states > free;
    }

    /** What it is made of, and what to do where it is too much. */
    String sentence(long free) {
        String made = String.format(
                Locale.ROOT,
                "The model takes about %,.0f MiB: weights %,.0f, the cache of %d sessions of %,d positions %,.0f, their"
                        + " states %,.0f; %,.0f MiB are free",
                (weights + cache + states) / MEBI,
                weights / MEBI,
                sequences,
                context,
                cache / MEBI,
                states / MEBI,
                free / MEBI);
        return exceeds(free)
                ? made + ". It may not fit: ask for fewer sessions, a shorter context, a cache of fewer bits, or take"
                        + " weights of fewer bits."
                : made + ".";
    }
}
