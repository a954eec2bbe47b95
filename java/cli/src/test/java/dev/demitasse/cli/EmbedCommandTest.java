package dev.demitasse.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.ResourceLock;

@ResourceLock("System.out")
class EmbedCommandTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private static CommandLineTest.Result embed(String model, String... arguments) {
        List<String> all =
                new ArrayList<>(List.of("embed", "-m", Golden.embedding(model).toString(), "--kv-type", "f32"));
        all.addAll(List.of(arguments));
        return CommandLineTest.run(all.toArray(String[]::new));
    }

    private static List<JsonNode> lines(CommandLineTest.Result result) throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (String line : result.out().strip().split("\n")) {
            lines.add(MAPPER.readTree(line));
        }
        return lines;
    }

    @Test
    void printsAVectorOfLengthOneForEachText(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("texts.txt"), "a cup of tea\n\n there\n");
        List<JsonNode> lines = lines(embed("bert-mean", "--json", "-f", file.toString(), "Hello there"));
        assertThat(lines).hasSize(3);
        for (int i = 0; i < 3; i++) {
            assertThat(lines.get(i).get("index").asInt()).isEqualTo(i);
            double squares = 0;
            for (JsonNode number : lines.get(i).get("embedding")) {
                squares += number.asDouble() * number.asDouble();
            }
            assertThat(squares).isCloseTo(1, org.assertj.core.data.Offset.offset(1e-5));
        }
        String plain = embed("bert-mean", "Hello there").out().strip();
        assertThat(Stream.of(plain.split(" ")).map(Double::valueOf)).hasSize(32);
    }

    @Test
    void ranksTextsByAQueryWithBothKindsOfModels() throws IOException {
        List<JsonNode> ranked = lines(embed("bert-cls", "--json", "--query", "there", "xyz 123", "there"));
        assertThat(ranked.getFirst().get("text").asText()).isEqualTo("there");
        assertThat(ranked.getFirst().get("score").asDouble()).isCloseTo(1, org.assertj.core.data.Offset.offset(1e-6));
        for (String model : List.of("bert-rank", "qwen3-reranker")) {
            List<JsonNode> scored = lines(embed(model, "--json", "--query", "there", "xyz 123", "there"));
            assertThat(scored.get(0).get("score").asDouble())
                    .isGreaterThanOrEqualTo(scored.get(1).get("score").asDouble());
        }
    }

    @Test
    void saysWhatToDoWithOtherModelsAndTexts() {
        assertThat(embed("bert-rank", "a").err()).contains("use it with Reranker");
        assertThat(embed("bert-mean").err()).contains("There is no text");
        assertThat(embed("bert-mean", "--ctx", "4", "a text of many words").err())
                .contains("Text 0 has ")
                .contains("truncated");
        assertThat(embed("bert-mean", "--ctx", "4", "--truncate", "a text of many words")
                        .code())
                .isZero();
        CommandLineTest.Result unpooled =
                CommandLineTest.run("embed", "-m", Golden.tiny("qwen3").toString(), "--kv-type", "f32", "a");
        assertThat(unpooled.code()).isNotZero();
        assertThat(unpooled.err()).contains("ask for a pooling");
        CommandLineTest.Result asked =
                CommandLineTest.run("embed", "-m", Golden.tiny("qwen3").toString(), "--pooling", "mean", "a");
        assertThat(asked.code()).isZero();
        CommandLineTest.Result generated = CommandLineTest.run(
                "generate", "-m", Golden.embedding("bert-mean").toString(), "-p", "a");
        assertThat(generated.code()).isNotZero();
        assertThat(generated.err()).contains("is an encoder").contains("demitasse embed");
    }
}
