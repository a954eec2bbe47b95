package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReadmeExampleTest {
    private static final Pattern EXAMPLE = Pattern.compile("```java\\n(.*?)```", Pattern.DOTALL);

    @Test
    void theExamplesOfTheReadmeAndItsPagesCompile(@TempDir Path folder) throws IOException {
        StringBuilder pages = new StringBuilder(Files.readString(Golden.root().resolve("README.md")));
        try (DirectoryStream<Path> more = Files.newDirectoryStream(Golden.root().resolve("docs"), "*.md")) {
            for (Path page : more) {
                pages.append(Files.readString(page));
            }
        }
        Matcher matcher = EXAMPLE.matcher(pages);
        int count = 0;
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        while (matcher.find()) {
            String name = "Example" + count++;
            String code = matcher.group(1).replaceAll("class \\w+", "class " + name);
            Path file = folder.resolve(name + ".java");
            Files.writeString(file, code);
            int result = compiler.run(
                    null,
                    null,
                    null,
                    "-cp",
                    System.getProperty("java.class.path"),
                    "-d",
                    folder.toString(),
                    file.toString());
            assertThat(result).as("example %d compiles", count).isZero();
        }
        assertThat(count).isGreaterThanOrEqualTo(6);
    }
}
