package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.kv.KvType;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * Golden models that nothing here computes yet: each is refused by the name of what is missing, and none runs as
 * something else.
 */
class ModelsToComeTest {
    static final List<String> EMBEDDINGS = Golden.EMBEDDINGS;

    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(64).withKvType(KvType.F32);

    @TestFactory
    Stream<DynamicTest> areRefusedByName() {
        return Stream.of(
                        refusals(Golden.TINY_TO_COME, Golden::tiny),
                        refusals(Golden.TYPES_TO_COME, Golden::type),
                        refusals(Golden.EMBEDDINGS_TO_COME, Golden::embedding))
                .flatMap(tests -> tests);
    }

    private static Stream<DynamicTest> refusals(List<String> names, Function<String, Path> files) {
        return names.stream().map(name -> DynamicTest.dynamicTest(name, () -> isRefused(files.apply(name))));
    }

    private static void isRefused(Path path) {
        assertThatThrownBy(() -> Model.load(path, OPTIONS).close())
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageMatching(refusal(path));
    }

    /** What is missing, as the file says it: a tensor type, the architecture, or the use of a tensor. */
    private static String refusal(Path path) {
        try (Gguf file = Gguf.open(path)) {
            String architecture = file.metadata().string("general.architecture");
            String tensors = file.tensors().stream()
                    .map(tensor -> Pattern.quote(tensor.name()))
                    .collect(Collectors.joining("|"));
            return "The architecture \"" + Pattern.quote(architecture)
                    + "\" is not supported: it needs .+\\. The nearest that is: .+\\. Supported are: .*"
                    + "|.* would compute something else: (" + tensors + ")[,.].*";
        } catch (UnsupportedModelException e) {
            return ".*: tensor \"[\\w.]+\" has type \\d+ \\(\\w+\\), which is not read; .*";
        }
    }

    /** Logits are the embedding times the table of tokens where the file has no output matrix. */
    @ParameterizedTest
    @FieldSource("EMBEDDINGS")
    void embeddingsMatchTheGoldenAnswersAsFarAsLogitsShow(String name) {
        Path path = Golden.embedding(name);
        try (Gguf file = Gguf.open(path);
                Model model = Model.load(path, OPTIONS)) {
            GgufTensor table = Objects.requireNonNull(file.tensor("token_embd.weight"));
            assertThat(file.tensor("output.weight")).isNull();
            for (JsonNode answer : Golden.embeddingAnswers(name)) {
                int[] tokens = Golden.ints(answer.get("tokens"));
                model.evaluate(
                        tokens,
                        tokens.length - 1,
                        (position, logits) -> assertLogits(table, answer.get("embedding"), logits));
            }
        }
    }

    private static void assertLogits(GgufTensor table, JsonNode embedding, float[] logits) {
        int rows = (int) table.rows();
        int columns = (int) table.columns();
        MatrixSource source = new MatrixSource(table.name(), table.type(), rows, columns, table.data());
        float[] row = new float[columns];
        assertThat(embedding).hasSize(columns);
        assertThat(logits).hasSize(rows);
        for (int token = 0; token < rows; token++) {
            source.dequantizeRow(token, row);
            double expected = 0;
            for (int i = 0; i < columns; i++) {
                expected += row[i] * embedding.get(i).asDouble();
            }
            assertThat((double) logits[token]).as("token %d", token).isCloseTo(expected, Offset.offset(1e-3));
        }
    }

    /** A file that stands in no list would be tested by nobody. */
    @Test
    void everyGoldenFileStandsInAList() throws IOException {
        assertThat(joined(models("tiny"), models("arch")))
                .containsExactlyInAnyOrderElementsOf(
                        joined(joined(Golden.TINY, Golden.TINY_QUANTIZED), Golden.TINY_TO_COME));
        assertThat(models("types")).containsExactlyInAnyOrderElementsOf(joined(Golden.TYPES, Golden.TYPES_TO_COME));
        assertThat(models("embed"))
                .containsExactlyInAnyOrderElementsOf(joined(Golden.EMBEDDINGS, Golden.EMBEDDINGS_TO_COME));
    }

    private static List<String> models(String folder) throws IOException {
        Path golden = Golden.root().resolve("java/testkit/src/main/resources/dev/demitasse/testkit/golden");
        try (Stream<Path> files = Files.list(golden.resolve(folder))) {
            return files.map(file -> String.valueOf(file.getFileName()))
                    .filter(name -> name.endsWith(".gguf"))
                    .map(name -> name.replaceFirst("^tiny-", "").replaceFirst("\\.gguf$", ""))
                    .toList();
        }
    }

    private static List<String> joined(List<String> first, List<String> second) {
        return Stream.concat(first.stream(), second.stream()).toList();
    }
}
