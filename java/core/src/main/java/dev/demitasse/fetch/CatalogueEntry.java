package dev.demitasse.fetch;

import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A model that can be pulled by name.
 *
 * @param name what users call it
 * @param file its file's name in the cache; of several the first's ({@link dev.demitasse.gguf.SplitName})
 * @param licence of the model
 * @param size bytes, or 0 where only the server knows
 * @param gigabytes of the file, about, in 10^9 bytes
 * @param growth how many times as large the weights are on a card, about ({@link dev.demitasse.ModelSize#gpuBytes}):
 *     types that no kernel reads become INT8 or INT4 with scales
 * @param sha256 hash of the file, or null where the server states it (Hugging Face does)
 * @param wheels Python packages whose wheels hold the file, or its parts in order; empty for a download by URL
 * @param repository {@code OWNER/REPO} on Hugging Face, and the folder there where the file is in one; or null
 * @param system the system message of a chat where the user gives none and the template's own serves the model badly,
 *     or null
 */
public record CatalogueEntry(
        String name,
        String file,
        String licence,
        long size,
        double gigabytes,
        double growth,
        @Nullable String sha256,
        List<String> wheels,
        @Nullable String repository,
        @Nullable String system) {
    /** Memory of the cards, and of the machines, that people have: gigabytes. */
    private static final int[] MEMORIES = {8, 16, 24, 80};
    /** Gigabytes beside the weights: the cache of a few thousand tokens, buffers, kernels. */
    private static final double BESIDE = 1;

    /** Gigabytes of memory that the model takes, about. */
    public double memory() {
        return gigabytes * growth + BESIDE;
    }

    /** The smallest usual memory that it fits, in gigabytes; 0 where it fits none. */
    public int fits() {
        for (int memory : MEMORIES) {
            if (memory() <= memory) {
                return memory;
            }
        }
        return 0;
    }

    /** What fits where, in words. */
    public String whereItFits() {
        return String.format(Locale.ROOT, "takes about %.1f GB on a card: ", memory())
                + (fits() == 0 ? "more than a card of 80 GB has" : "for cards of " + fits() + " GB and more");
    }
}
