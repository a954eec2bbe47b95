package dev.demitasse.cli;

import java.nio.file.Path;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The option of commands that can write what they found as a page. */
final class ReportOption {
    @Option(names = "--report", paramLabel = "FILE", description = "Write an HTML page with charts, too.")
    @Nullable
    Path path;

    /** Refuses, before work begins, a path that no page can be written to. */
    void require() {
        if (path != null) {
            ReportPage.requireWritable(path);
        }
    }

    /** Writes the page, where one is wanted. */
    void write(Supplier<ReportPage> page) {
        if (path != null) {
            page.get().write(path);
        }
    }
}
