package dev.demitasse.testkit;

import java.util.SplittableRandom;
import java.util.function.Consumer;

/** Rounds of a random test. A round that fails tells its seed; {@code -Ddemitasse.seed=SEED} begins with that round. */
public final class Seeds {
    private Seeds() {}

    /** Runs {@code test} with {@code rounds} seeds. */
    public static void forEach(int rounds, Consumer<SplittableRandom> test) {
        long first = Long.getLong("demitasse.seed", System.nanoTime());
        for (long seed = first; seed < first + rounds; seed++) {
            try {
                test.accept(new SplittableRandom(seed));
            } catch (RuntimeException | Error e) {
                throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
            }
        }
    }
}
