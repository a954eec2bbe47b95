package dev.demitasse.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToIntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** Runs the build's generator of what headers say ({@code java/core/src/build/java/Boundary.java}), for tests. */
public final class BoundaryGenerator {
    private static final Pattern FINGERPRINT = Pattern.compile("FINGERPRINT = 0x([0-9a-f]+)L");

    private BoundaryGenerator() {}

    /** A file of the repository. */
    public static Path source(String name) {
        return Golden.root().resolve(name);
    }

    /** The class that the generator makes of headers. */
    public static String run(Path folder, String packageName, List<Path> headers)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                source("java/core/src/build/java/Boundary.java").toString(),
                packageName,
                folder.toString()));
        headers.forEach(header -> command.add(header.toString()));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IOException("The generator failed: " + output);
        }
        return Files.readString(folder.resolve(packageName.replace('.', '/')).resolve("Boundary.java"));
    }

    /** That the constants of an enum have the numbers 0 … count - 1, each one. */
    public static <E extends Enum<E>> void requireNumbers(E[] constants, ToIntFunction<Enum<?>> number, int count) {
        assertThat(Arrays.stream(constants).mapToInt(number).sorted().toArray())
                .isEqualTo(IntStream.range(0, count).toArray());
    }

    /** The fingerprint in a generated class. */
    public static long fingerprint(String generated) {
        Matcher matcher = FINGERPRINT.matcher(generated);
        if (!matcher.find()) {
            throw new IllegalArgumentException("there is no fingerprint in " + generated);
        }
        return Long.parseLong(matcher.group(1), 16);
    }
}
