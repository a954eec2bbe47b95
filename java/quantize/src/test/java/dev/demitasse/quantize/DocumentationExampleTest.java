package dev.demitasse.quantize;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.testkit.DocumentationExamples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DocumentationExampleTest {
    private static final List<String> PACKAGES = List.of(
            "dev.demitasse",
            "dev.demitasse.device",
            "dev.demitasse.kv",
            "dev.demitasse.quant",
            "dev.demitasse.quantize",
            "dev.demitasse.quantize.advise",
            "java.nio.file",
            "java.util");

    @Test
    void theExamplesOfTheDocstringsCompile(@TempDir Path folder) throws IOException {
        assertThat(DocumentationExamples.compile("core", PACKAGES, folder))
                .contains("Model.java", "Linear.java", "EmbeddingModel.java", "Reranker.java");
        assertThat(DocumentationExamples.compile("quantize", PACKAGES, folder))
                .contains("Quantizer.java", "Evaluation.java", "Advisor.java");
    }
}
