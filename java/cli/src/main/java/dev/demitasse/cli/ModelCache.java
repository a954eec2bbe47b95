package dev.demitasse.cli;

import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/** The folder of pulled models: {@code $DEMITASSE_CACHE/models}, or the platform's cache folder. */
final class ModelCache {
    private final Path folder;

    ModelCache(Path folder) {
        this.folder = folder;
    }

    static ModelCache standard() {
        return new ModelCache(base().resolve("models"));
    }

    /** The folder of everything that can be had again. */
    static Path base() {
        String set = System.getenv("DEMITASSE_CACHE");
        if (set != null && !set.isEmpty()) {
            return Path.of(set);
        }
        String home = System.getProperty("user.home", ".");
        String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
        String xdg = System.getenv("XDG_CACHE_HOME");
        String local = System.getenv("LOCALAPPDATA");
        if (xdg != null && !xdg.isEmpty()) {
            return Path.of(xdg, "demitasse");
        }
        if (os.contains("mac")) {
            return Path.of(home, "Library", "Caches", "demitasse");
        }
        if (os.contains("windows") && local != null) {
            return Path.of(local, "demitasse");
        }
        return Path.of(home, ".cache", "demitasse");
    }

    Path folder() {
        return folder;
    }

    /** Where a file of that name lies. */
    Path path(String file) {
        return folder.resolve(file);
    }

    List<Path> files() {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".gguf"))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The file that a path, a catalogue name, or the name of a cached file means. */
    Path resolve(String model, Catalogue catalogue) {
        Path path = Path.of(model);
        if (Files.isRegularFile(path)) {
            return path;
        }
        CatalogueEntry entry = catalogue.find(model);
        if (entry != null) {
            Path cached = path(entry.file());
            if (Files.isRegularFile(cached)) {
                return cached;
            }
            throw new UsageException("The model " + model + " is not here yet; fetch it with: demitasse pull " + model);
        }
        for (Path file : files()) {
            String name = String.valueOf(file.getFileName());
            if (name.equals(model) || name.equals(model + ".gguf")) {
                return file;
            }
        }
        throw new UsageException(
                "There is no file and no cached model \"" + model + "\"; demitasse ls lists what can be named.");
    }
}
