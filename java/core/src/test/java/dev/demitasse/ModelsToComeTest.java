package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvType;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Golden models that nothing here computes yet: each is refused by the name of what is missing, and none runs as
 * something else.
 */
class ModelsToComeTest {
    private static final ModelOptions OPTIONS =
            ModelOptions.DEFAULT.withBackend("reference").withContextLength(64).withKvType(KvType.F32);

    @TestFactory
    Stream<DynamicTest> areRefusedByName() {
        return Stream.of(refusals(Golden.TINY_TO_COME, Golden::tiny), refusals(Golden.TYPES_TO_COME, Golden::type))
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

    /** A file that stands in no list would be tested by nobody. */
    @Test
    void everyGoldenFileStandsInAList() throws IOException {
        assertThat(joined(models("tiny"), models("arch")))
                .containsExactlyInAnyOrderElementsOf(
                        joined(joined(Golden.TINY, Golden.TINY_QUANTIZED), Golden.TINY_TO_COME));
        assertThat(models("types")).containsExactlyInAnyOrderElementsOf(joined(Golden.TYPES, Golden.TYPES_TO_COME));
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
