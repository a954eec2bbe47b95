package dev.demitasse.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.testkit.DocumentationExamples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DocumentationExampleTest {
    private static final List<String> PACKAGES = List.of(
            "dev.demitasse", "dev.demitasse.langchain4j", "dev.langchain4j.model.chat", "java.nio.file", "java.util");

    @Test
    void theExampleOfThePackageCompiles(@TempDir Path folder) throws IOException {
        assertThat(DocumentationExamples.compile("langchain4j", PACKAGES, folder))
                .containsExactly("package-info.java");
    }
}
