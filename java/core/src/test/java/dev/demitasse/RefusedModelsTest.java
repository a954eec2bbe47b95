package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Models that do not work are refused, and all golden ones work: others would be tested by nobody. */
class RefusedModelsTest {
    @TempDir
    Path folder;

    @ParameterizedTest
    @CsvSource({
        "falcon-h1, attention and state spaces, granitehybrid",
        "glm-dsa, an index of the positions, deepseek2",
        "gemma3n, several residual streams, gemma4",
        "kimi-linear, delta nets that forget by channel, qwen3next",
        "jina-bert-v2, attention biases, nomic-bert"
    })
    void anArchitectureIsRefusedWithWhatItNeedsAndTheNearestThatWorks(String name, String needs, String nearest)
            throws IOException {
        assertThatThrownBy(() -> Model.load(named(name), ModelOptions.DEFAULT.withBackend("reference")))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageMatching("The architecture \"" + name + "\" is not supported: it needs " + needs
                        + ".+\\. The nearest that is: " + nearest + "\\. Supported are: .*llama4.*");
    }

    @Test
    void thePartThatSeesIsRefusedWithWhatToLoadInstead() throws IOException {
        assertThatThrownBy(() -> Model.load(named("clip"), ModelOptions.DEFAULT.withBackend("reference")))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("load the file of the language model");
    }

    @Test
    void anUnknownArchitectureIsRefusedByName() throws IOException {
        assertThatThrownBy(() -> Model.load(named("nobodys"), ModelOptions.DEFAULT.withBackend("reference")))
                .isInstanceOf(UnsupportedModelException.class)
                .hasMessageContaining("The architecture \"nobodys\" is not supported. Supported are: ");
    }

    private Path named(String architecture) throws IOException {
        return ChangedFiles.changed(
                Golden.tiny("llama"),
                folder.resolve("named.gguf"),
                writer -> writer.metadata("general.architecture", MetadataValue.of(MetadataType.STRING, architecture)));
    }

    @Test
    void everyGoldenFileStandsInAList() throws IOException {
        assertThat(joined(models("tiny"), models("arch")))
                .containsExactlyInAnyOrderElementsOf(joined(Golden.TINY, Golden.TINY_QUANTIZED));
        assertThat(models("types")).containsExactlyInAnyOrderElementsOf(Golden.TYPES);
        assertThat(models("embed")).containsExactlyInAnyOrderElementsOf(Golden.EMBEDDINGS);
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
