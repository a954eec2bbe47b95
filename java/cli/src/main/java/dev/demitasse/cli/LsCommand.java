package dev.demitasse.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/** {@code demitasse ls}. */
@Command(name = "ls", description = "Lists the models of the catalogue and of the cache.")
final class LsCommand implements Callable<Integer> {
    @Override
    public Integer call() throws Exception {
        ModelCache cache = ModelCache.standard();
        List<CatalogueEntry> entries = Catalogue.load().entries();
        for (CatalogueEntry entry : entries) {
            Path file = cache.path(entry.file());
            String state = Files.exists(file) ? megabytes(file) : "not fetched";
            System.out.printf(
                    Locale.ROOT, "%-14s %-12s %-12s %s%n", entry.name(), state, entry.licence(), entry.file());
        }
        for (Path file : cache.files()) {
            String name = String.valueOf(file.getFileName());
            if (entries.stream().noneMatch(entry -> entry.file().equals(name))) {
                System.out.printf(Locale.ROOT, "%-14s %-12s %-12s %s%n", "-", megabytes(file), "-", name);
            }
        }
        return 0;
    }

    private static String megabytes(Path file) throws java.io.IOException {
        return Files.size(file) / 1_000_000 + " MB";
    }
}
