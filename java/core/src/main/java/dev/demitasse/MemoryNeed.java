package dev.demitasse;

import dev.demitasse.device.Device;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.model.ModelConfig;
import java.util.Locale;

/**
 * What a model takes once it is loaded, about, told before anything is.
 *
 * @param weights bytes of the weights on the device
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
     * @param device where it is to be loaded
     */
    static MemoryNeed of(Gguf file, ModelOptions options, int context, boolean drafting, Device device) {
        ModelSize size = ModelSize.of(file);
        ModelConfig config = Hyperparameters.read(file, 0);
        boolean drafts = drafting && size.draftBytes() > 0;
        long sequences = options.sequences();
        long position = config.kvBytesPerPosition(options.kvType(), drafts);
        return new MemoryNeed(
                new WeightSample(file, device, options.forcedLayout()).bytes(config, drafts),
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
