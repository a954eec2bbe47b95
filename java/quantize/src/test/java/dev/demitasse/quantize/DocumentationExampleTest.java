package dev.demitasse.quantize;

import static org.assertj.core.api.Assertions.assertThat;

import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The examples in the docstrings of the public API, which stand in braces after {@code <pre>}, compile. */
class DocumentationExampleTest {
    private static final Pattern EXAMPLE =
            Pattern.compile("^ \\* <pre>\\{@code\\n(.*?)^ \\* \\}</pre>", Pattern.DOTALL | Pattern.MULTILINE);

    /** What an example may use without a word. */
    private static final String AROUND = """
            import dev.demitasse.*;
            import dev.demitasse.device.*;
            import dev.demitasse.kv.*;
            import dev.demitasse.quant.*;
            import dev.demitasse.quantize.*;
            import dev.demitasse.quantize.advise.*;
            import java.nio.file.*;
            import java.util.*;

            class NAME {
                void example(float[] weights, float[] x, int batch) throws Exception {
            CODE
                }
            }
            """;

    @Test
    void theExamplesOfTheDocstringsCompile(@TempDir Path folder) throws IOException {
        List<String> documented = new ArrayList<>();
        for (String module : List.of("core", "quantize")) {
            Path sources = Golden.root().resolve("java/" + module + "/src/main/java");
            List<Path> files;
            try (Stream<Path> all = Files.walk(sources)) {
                files = all.filter(file -> file.toString().endsWith(".java"))
                        .sorted()
                        .toList();
            }
            for (Path file : files) {
                List<MatchResult> examples =
                        EXAMPLE.matcher(Files.readString(file)).results().toList();
                for (MatchResult example : examples) {
                    String name = file.getFileName().toString().replace(".java", "Example" + documented.size());
                    compile(folder, name, example.group(1).replaceAll("(?m)^ \\* ?", ""));
                    documented.add(file.getFileName().toString());
                }
            }
        }
        assertThat(documented)
                .contains("Model.java", "Linear.java", "Quantizer.java", "Evaluation.java", "Advisor.java");
    }

    private static void compile(Path folder, String name, String code) throws IOException {
        Path file = folder.resolve(name + ".java");
        Files.writeString(file, AROUND.replace("NAME", name).replace("CODE", code));
        StringWriter messages = new StringWriter();
        PrintWriter printed = new PrintWriter(messages);
        int result = ToolProvider.findFirst("javac")
                .orElseThrow()
                .run(
                        printed,
                        printed,
                        "-cp",
                        System.getProperty("java.class.path"),
                        "-d",
                        folder.toString(),
                        file.toString());
        assertThat(result).as("%s: %s", name, messages).isZero();
    }
}
