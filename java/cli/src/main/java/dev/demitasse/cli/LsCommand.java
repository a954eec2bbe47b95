package dev.demitasse.cli;

import dev.demitasse.fetch.Catalogue;
import dev.demitasse.fetch.CatalogueEntry;
import dev.demitasse.fetch.ModelCache;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/** {@code demitasse ls}. */
@Command(
        name = "ls",
        description = {
            "Lists the models of the catalogue and of the cache.",
            "\"loaded\" is about what a model takes of a machine's or a card's memory, with a cache of a few thousand"
                    + " tokens; \"fits\" is the smallest of 8, 16, 24 and 80 GB that holds it."
        })
final class LsCommand implements Callable<Integer> {
    private static final String LINE = "%-22s %-12s %8s %8s  %-14s %s%n";

    @Override
    public Integer call() {
        ModelCache cache = PullCommand.cache();
        List<CatalogueEntry> entries = Catalogue.load().entries();
        System.out.printf(Locale.ROOT, LINE, "name", "file", "loaded", "fits", "licence", "file name");
        for (CatalogueEntry entry : entries) {
            Path file = cache.path(entry.file());
            String state = cache.has(entry.name()) ? megabytes(file) : "not fetched";
            String fits = entry.fits() == 0 ? "> 80 GB" : entry.fits() + " GB";
            System.out.printf(
                    Locale.ROOT,
                    LINE,
                    entry.name(),
                    state,
                    String.format(Locale.ROOT, "%.1f GB", entry.memory()),
                    fits,
                    entry.licence(),
                    entry.file());
        }
        for (Path file : cache.files()) {
            String name = String.valueOf(file.getFileName());
            if (entries.stream().noneMatch(entry -> entry.file().equals(name))) {
                System.out.printf(Locale.ROOT, LINE, "-", megabytes(file), "-", "-", "-", name);
            }
        }
        return 0;
    }

    private static String megabytes(Path file) {
        return ModelCache.bytes(file) / 1_000_000 + " MB";
    }
}
