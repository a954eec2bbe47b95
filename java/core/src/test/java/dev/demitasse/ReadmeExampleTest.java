package dev.demitasse;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.testkit.Golden;
import java.io.IOException;
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
    void theExamplesOfTheReadmeCompile(@TempDir Path folder) throws IOException {
        Matcher matcher = EXAMPLE.matcher(Files.readString(Golden.root().resolve("README.md")));
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
        assertThat(count).isGreaterThanOrEqualTo(2);
    }
}
