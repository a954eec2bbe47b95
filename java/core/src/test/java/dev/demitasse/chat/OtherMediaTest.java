package dev.demitasse.chat;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.gguf.Metadata;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class OtherMediaTest {
    private static final String ANSWERS = "chat/rendered.jsonl";
    private static final List<String> ALL = List.of("image", "audio", "video");

    /** By what its name begins with; the others of the golden set are of models that read text alone. */
    private static final Map<String, List<String>> SEEING = Map.ofEntries(
            Map.entry("Apriel-1.6", List.of("image")),
            Map.entry("GLM-5.2", ALL),
            Map.entry("Kimi-K2", List.of("image")),
            Map.entry("Mistral-Small-3.2", List.of("image")),
            Map.entry("Qwen3.5", List.of("image", "video")),
            Map.entry("Reka", List.of("image", "video")),
            Map.entry("StepFun3.5", List.of("image")),
            Map.entry("google-gemma-4", ALL),
            Map.entry("mistralai-Ministral-3", List.of("image")),
            Map.entry("moonshotai-Kimi-K2", List.of("image")),
            Map.entry("unsloth-Apriel-1.5", List.of("image")),
            Map.entry("unsloth-mistral-Devstral", List.of("image")));

    private static List<String> leftOut(Path template) {
        try {
            MetadataValue source = MetadataValue.of(MetadataType.STRING, Files.readString(template));
            return OtherMedia.leftOut(new Metadata("golden", Map.of("tokenizer.chat_template", source)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void whatTheTemplatesOfTheGoldenSetHavePlacesForIsTold() throws IOException {
        Path folder = Golden.shared(ANSWERS).resolveSibling("templates");
        Map<String, List<String>> found = new TreeMap<>();
        Map<String, List<String>> expected = new TreeMap<>();
        try (Stream<Path> templates = Files.list(folder)) {
            templates.forEach(path -> {
                String name = String.valueOf(path.getFileName());
                found.put(name, leftOut(path));
                expected.put(
                        name,
                        SEEING.entrySet().stream()
                                .filter(each -> name.startsWith(each.getKey()))
                                .map(Map.Entry::getValue)
                                .findFirst()
                                .orElse(List.of()));
            });
        }
        assertThat(found).hasSizeGreaterThan(30).isEqualTo(expected);
    }
}
