package dev.demitasse.cli;

import dev.demitasse.Generation;
import dev.demitasse.Model;
import dev.demitasse.memory.HostMemory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** The line of figures after an answer. */
final class Statistics {
    private static final Path STATUS = Path.of("/proc/self/status");

    private Statistics() {}

    static void print(Model model, Generation generation) {
        Console.dimNote(String.format(
                Locale.ROOT,
                "prompt %d tokens%s, %.1f tokens/s; decode %d tokens, %.1f tokens/s%s; %s (%s); peak memory %d MB",
                generation.promptTokens().size(),
                generation.cachedTokens() == 0 ? "" : ", of which " + generation.cachedTokens() + " are cached",
                generation.promptTokensPerSecond(),
                generation.tokens().size(),
                generation.decodeTokensPerSecond(),
                drafts(generation),
                model.backend(),
                model.deviceDescription(),
                peakBytes() / 1_000_000));
    }

    /** What drafts brought; nothing where they brought nothing. */
    static String drafts(Generation generation) {
        return generation.passes() == generation.tokens().size()
                ? ""
                : String.format(Locale.ROOT, " (%.2f tokens a pass)", generation.tokensPerPass());
    }

    /** Peak resident memory of the process where the system tells it; else what is allocated now. */
    private static long peakBytes() {
        if (Files.isReadable(STATUS)) {
            try {
                for (String line : Files.readAllLines(STATUS)) {
                    if (line.startsWith("VmHWM:")) {
                        return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
                    }
                }
            } catch (IOException e) {
                Console.note("demitasse: " + STATUS + " cannot be read: " + e.getMessage());
            }
        }
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory() + HostMemory.allocatedBytes();
    }
}
