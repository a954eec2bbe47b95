package dev.demitasse.testkit;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/**
 * Golden answers of independent implementations: some are resources of this module, some lie in a folder beside the
 * repository and are skipped, with a reason, where it is missing. The cached real models are found here too.
 */
public final class Golden {
    /** The tiny models, by architecture. */
    public static final List<String> TINY = List.of("llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3");

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final String SHARED = "../shared/golden";

    private Golden() {}

    /** The lines of a resource as JSON. */
    public static List<JsonNode> lines(String resource) {
        try (InputStream in = open(resource)) {
            return parse(new String(in.readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The lines of a file as JSON. */
    public static List<JsonNode> lines(Path file) {
        try {
            return parse(Files.readString(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<JsonNode> parse(String text) throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (String line : text.split("\n")) {
            if (!line.isBlank()) {
                lines.add(MAPPER.readTree(line));
            }
        }
        return lines;
    }

    private static InputStream open(String resource) {
        InputStream in = Golden.class.getResourceAsStream("golden/" + resource);
        if (in == null) {
            throw new IllegalArgumentException("no golden resource " + resource);
        }
        return in;
    }

    /** A tiny model as a file; deleted when the JVM ends. */
    public static Path tiny(String architecture) {
        try (InputStream in = open("tiny/tiny-" + architecture + ".gguf")) {
            Path file = Files.createTempFile("tiny-" + architecture, ".gguf");
            file.toFile().deleteOnExit();
            Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The one answer that goes with a tiny model. */
    public static JsonNode tinyAnswer(String architecture) {
        return lines("tiny/tiny-" + architecture + ".jsonl").getFirst();
    }

    /** A file of the golden folder beside the repository; the test is skipped where there is none. */
    public static Path shared(String name) {
        Path file = root().resolve(SHARED).resolve(name).normalize();
        Assumptions.assumeTrue(
                Files.exists(file), "golden file " + SHARED + "/" + name + " is not beside the repository");
        return file;
    }

    /** A cached real model; the test is skipped where it was not pulled. */
    public static Path model(String file) {
        Path path = cache().resolve(file);
        Assumptions.assumeTrue(
                Files.exists(path), "model " + file + " is not in the cache; run ./demitasse pull, or ./ci/test.sh");
        return path;
    }

    private static Path cache() {
        String set = System.getenv("DEMITASSE_CACHE");
        if (set != null) {
            return Path.of(set, "models");
        }
        String xdg = System.getenv("XDG_CACHE_HOME");
        Path base = xdg == null || xdg.isEmpty() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(xdg);
        return base.resolve("demitasse").resolve("models");
    }

    /** The root of the repository. */
    public static Path root() {
        return Path.of(System.getProperty("demitasse.root", "."));
    }

    /** An array of integers. */
    public static int[] ints(JsonNode array) {
        int[] values = new int[array.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = array.get(i).asInt();
        }
        return values;
    }
}
