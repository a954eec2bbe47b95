package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

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
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The examples in the docstrings of the public API, which stand in braces after {@code <pre>}. */
public final class DocumentationExamples {
    private static final Pattern EXAMPLE =
            Pattern.compile("^ \\* <pre>\\{@code\\n(.*?)^ \\* \\}</pre>", Pattern.DOTALL | Pattern.MULTILINE);

    private static final String AROUND = """
            IMPORTS

            class NAME {
                void example(float[] weights, float[] x, int batch) throws Exception {
            CODE
                }
            }
            """;

    private DocumentationExamples() {}

    /**
     * Compiles all examples of a module.
     *
     * @param module a folder under {@code java}
     * @param packages what an example may use without a word
     * @param folder where class files go
     * @return the names of the files that have examples
     */
    public static List<String> compile(String module, List<String> packages, Path folder) throws IOException {
        String imports = packages.stream().map(each -> "import " + each + ".*;").collect(Collectors.joining("\n"));
        List<String> documented = new ArrayList<>();
        for (Path file : sources(Golden.root().resolve("java/" + module + "/src/main/java"))) {
            String name = file.getFileName().toString();
            for (MatchResult example :
                    EXAMPLE.matcher(Files.readString(file)).results().toList()) {
                String className = name.replaceAll("\\.java|\\W", "") + "Example" + documented.size();
                String code = example.group(1).replaceAll("(?m)^ \\* ?", "");
                String whole = AROUND.replace("IMPORTS", imports)
                        .replace("NAME", className)
                        .replace("CODE", code);
                compile(Files.writeString(folder.resolve(className + ".java"), whole), folder);
                documented.add(name);
            }
        }
        return documented;
    }

    private static List<Path> sources(Path folder) throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(file -> file.toString().endsWith(".java"))
                    .sorted()
                    .toList();
        }
    }

    private static void compile(Path file, Path folder) {
        StringWriter messages = new StringWriter();
        PrintWriter printed = new PrintWriter(messages);
        String classes = System.getProperty("java.class.path");
        int result = ToolProvider.findFirst("javac")
                .orElseThrow()
                .run(printed, printed, "-cp", classes, "-d", folder.toString(), file.toString());
        assertThat(result).as("%s: %s", file.getFileName(), messages).isZero();
    }
}
