package dev.demitasse.bench;

import dev.demitasse.quantize.QuantizeOptions;
import dev.demitasse.quantize.Quantizer;
import dev.demitasse.quantize.WeightMix;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Seconds of quantizing a model, one number a run in one process: the first runs are with code that is not compiled
 * yet. {@code ci/quality_peers.py} runs it in turns with llama.cpp's {@code llama_model_quantize}.
 *
 * <p>{@code java --add-modules jdk.incubator.vector -cp "java/bench/target/classes:java/cli/target/lib/*"
 * dev.demitasse.bench.QuantizeBenchmark FILE.gguf Q4_K_M 8}
 */
public final class QuantizeBenchmark {
    private QuantizeBenchmark() {}

    /**
     * Prints a line a run.
     *
     * @param arguments a GGUF file of 16 or 32 bits, a mix, and how many runs
     * @throws IOException where no temporary file can be written
     */
    public static void main(String[] arguments) throws IOException {
        Path in = Path.of(arguments[0]);
        QuantizeOptions options =
                QuantizeOptions.of(WeightMix.named(arguments[1])).withOverwrite(true);
        Path folder = Files.createTempDirectory("demitasse-quantize");
        Path out = folder.resolve("out.gguf");
        try {
            for (int run = 0; run < Integer.parseInt(arguments[2]); run++) {
                long start = System.nanoTime();
                Quantizer.quantize(in, out, options);
                System.out.printf(Locale.ROOT, "%.3f%n", (System.nanoTime() - start) * 1e-9);
            }
        } finally {
            try (Stream<Path> left = Files.list(folder)) { // of a run that failed, too
                for (Path file : left.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(folder);
        }
    }
}
