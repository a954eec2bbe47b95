package dev.demitasse.testkit;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.CacheFolder;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Assumptions;

/**
 * Golden answers of independent implementations. What belongs to this project are resources of this module; third
 * parties' texts (chat templates, vocabularies, the text of perplexity) lie in a folder beside the repository, and
 * their tests are skipped, with a reason, where it is missing. The cached real models are found here too.
 */
public final class Golden {
    /** The tiny models whose answers are checked, by architecture. */
    public static final List<String> TINY = List.of(
            "cohere2",
            "deepseek2",
            "gemma4-dense",
            "gemma4-moe",
            "gemma4-ple",
            "ernie4_5-moe",
            "exaone4",
            "gemma2",
            "gemma3",
            "glm4",
            "glm4moe",
            "gpt-oss",
            "granite",
            "granitehybrid",
            "granitemoe",
            "lfm2",
            "lfm2moe",
            "llama",
            "llama4",
            "mistral3",
            "mixtral",
            "nemotron_h",
            "nemotron_h_moe",
            "olmo2",
            "olmo3",
            "olmoe",
            "phi3",
            "qwen2",
            "qwen2moe",
            "qwen2vl",
            "qwen3",
            "qwen35",
            "qwen35-mtp",
            "qwen35moe",
            "qwen3moe",
            "qwen3next",
            "qwen3vl",
            "seed_oss",
            "smollm3");

    /** Tiny models with quantized matrices; each has a second answer, of its matrices as numbers of 32 bits. */
    public static final List<String> TINY_QUANTIZED = List.of("gpt-oss-mxfp4", "qwen3moe-q4_k_m", "qwen3moe-q8_0");

    /** The tensor types of the one-layer models whose answers are checked. */
    public static final List<String> TYPES = List.of(
            "BF16",
            "F16",
            "IQ2_XXS",
            "IQ3_S",
            "IQ3_XXS",
            "IQ4_NL",
            "IQ4_XS",
            "MXFP4",
            "NVFP4-scaled",
            "Q2_K",
            "Q3_K_S",
            "Q4_0",
            "Q4_1",
            "Q4_K_S",
            "Q5_0",
            "Q5_1",
            "Q5_K_S",
            "Q6_K",
            "Q8_0");

    /** The models of embeddings and scores whose answers are checked. */
    public static final List<String> EMBEDDINGS = List.of(
            "bert-cls",
            "bert-mean",
            "bert-rank",
            "gemma-embedding",
            "modern-bert",
            "nomic-bert",
            "nomic-bert-moe",
            "qwen3-embedding",
            "qwen3-reranker");

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
    public static Path tiny(String name) {
        return file(tinyResource(name, ".gguf"));
    }

    /** The one answer that goes with a tiny model. */
    public static JsonNode tinyAnswer(String name) {
        return lines(tinyResource(name, ".jsonl")).getFirst();
    }

    /** The answer of a tiny quantized model's matrices as numbers of 32 bits. */
    public static JsonNode tinyExactAnswer(String name) {
        return lines(tinyResource(name, ".exact.jsonl")).getFirst();
    }

    private static String tinyResource(String name, String ending) {
        boolean first = Golden.class.getResource("golden/tiny/tiny-" + name + ending) != null;
        return (first ? "tiny/tiny-" : "arch/tiny-") + name + ending;
    }

    /** The one-layer model of a tensor type as a file; deleted when the JVM ends. */
    public static Path type(String name) {
        return file("types/" + name + ".gguf");
    }

    /** The one answer that goes with a type's model. */
    public static JsonNode typeAnswer(String name) {
        return lines("types/" + name + ".jsonl").getFirst();
    }

    /** The answer of a type's model with exact activations; empty where there is none. */
    public static Optional<JsonNode> typeExactAnswer(String name) {
        String resource = "types/" + name + ".exact.jsonl";
        return Golden.class.getResource("golden/" + resource) == null
                ? Optional.empty()
                : Optional.of(lines(resource).getFirst());
    }

    /** An embedding model as a file; deleted when the JVM ends. */
    public static Path embedding(String name) {
        return file("embed/tiny-" + name + ".gguf");
    }

    /** The texts and embeddings that go with an embedding model. */
    public static List<JsonNode> embeddingAnswers(String name) {
        return lines("embed/tiny-" + name + ".jsonl");
    }

    private static Path file(String resource) {
        String name = resource.substring(resource.lastIndexOf('/') + 1, resource.lastIndexOf('.'));
        try (InputStream in = open(resource)) {
            Path file = Files.createTempFile(name, ".gguf");
            file.toFile().deleteOnExit();
            Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A third party's file in the golden folder beside the repository; the test is skipped where there is none. */
    public static Path shared(String name) {
        Assumptions.assumeTrue(hasShared(name), "golden file " + SHARED + "/" + name + " is not beside the repository");
        return sharedPath(name);
    }

    /** Whether there is such a file: for test factories, whose skips are reported for their tests alone. */
    public static boolean hasShared(String name) {
        return Files.exists(sharedPath(name));
    }

    private static Path sharedPath(String name) {
        return root().resolve(SHARED).resolve(name).normalize();
    }

    /** A cached real model; the test is skipped where it was not pulled. */
    public static Path model(String file) {
        Path path = CacheFolder.path().resolve("models").resolve(file);
        Assumptions.assumeTrue(
                Files.exists(path), "model " + file + " is not in the cache; run ./demitasse pull, or ./ci/test.sh");
        return path;
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
