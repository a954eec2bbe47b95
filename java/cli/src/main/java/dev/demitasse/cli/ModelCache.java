package dev.demitasse.cli;

import dev.demitasse.CacheFolder;
import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The folder of pulled models: {@code $DEMITASSE_CACHE/models}, or the platform's cache folder. */
final class ModelCache {
    private final Path folder;

    ModelCache(Path folder) {
        this.folder = folder;
    }

    static ModelCache standard() {
        return new ModelCache(CacheFolder.path().resolve("models"));
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
