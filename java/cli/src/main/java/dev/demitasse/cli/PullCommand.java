package dev.demitasse.cli;

import dev.demitasse.CacheFolder;
import dev.demitasse.ModelSize;
import dev.demitasse.fetch.Catalogue;
import dev.demitasse.fetch.CatalogueEntry;
import dev.demitasse.fetch.ModelCache;
import dev.demitasse.gguf.SplitName;
import dev.demitasse.memory.HostMemory;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code demitasse pull}. */
@Command(name = "pull", description = "Fetches a model to the cache; an interrupted download goes on where it stopped.")
final class PullCommand implements Callable<Integer> {
    /** What weights take more on a GPU than in a file, at most but for types of the fewest bits ({@link ModelSize}). */
    private static final double MOST_GROWTH = 1.8;

    @Parameters(paramLabel = "NAME", description = "A name that `demitasse ls` lists, or hf:OWNER/REPO/FILE.gguf.")
    String model = Catalogue.DEMO;

    @Override
    public Integer call() {
        System.out.println(pull(model, PullCommand.cache()));
        return 0;
    }

    /** Fetches a model unless it is there; returns its file. */
    static Path pull(String model, ModelCache cache) {
        CatalogueEntry entry = Catalogue.load().find(model);
        if (entry != null && !cache.has(model)) {
            Console.note(announcement(entry, HostMemory.availableBytes() / 1e9));
        }
        Progress progress = new Progress(System.err, entry == null ? model : entry.file(), Console.interactive());
        boolean[] said = {entry != null || SplitName.of(model) != null}; // of several files each tells its own size
        return cache.fetch(model, (done, total) -> {
            if (!said[0] && total > 0) { // of a file that is no catalogue's the server tells the size
                Console.note(announcement(model, total, HostMemory.availableBytes() / 1e9));
                said[0] = true;
            }
            progress.show(done, total);
        });
    }

    /** The folder of pulled models: {@code $DEMITASSE_CACHE/models}, or the platform's cache folder. */
    static ModelCache cache() {
        return ModelCache.within(CacheFolder.path());
    }

    /**
     * What is fetched, and where it fits.
     *
     * @param available gigabytes of memory that this machine has left
     */
    static String announcement(CatalogueEntry entry, double available) {
        return "Fetching " + entry.name() + " (" + entry.licence() + " licence), which " + entry.whereItFits()
                + here(entry.memory(), available) + " …";
    }

    /** The same of a file of which the size alone is known. */
    static String announcement(String name, long bytes, double available) {
        double memory = bytes / 1e9 * MOST_GROWTH;
        return String.format(
                Locale.ROOT,
                "Fetching %s (%.1f GB), which takes up to %.1f GB and a cache where it runs%s …",
                Console.harmless(name),
                bytes / 1e9,
                memory,
                here(memory, available));
    }

    private static String here(double memory, double available) {
        return memory <= available ? "" : String.format(Locale.ROOT, ". This machine has %.1f GB left", available);
    }
}
