package dev.demitasse.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The peer: llama.cpp's own {@code llama-bench} on the same file, all layers on the GPU, with flash attention. */
final class LlamaBench {
    private final String command;

    /** One by the path of its program. */
    LlamaBench(String command) {
        this.command = command;
    }

    /**
     * Prefill and decode, each at each depth.
     *
     * @param report receives the fields of a figure
     * @throws IOException where it does not run, or says something else than figures
     */
    void run(Path file, List<Integer> prompts, int tokens, List<Integer> depths, Consumer<String> report)
            throws IOException {
        ProcessBuilder builder = new ProcessBuilder(
                command,
                "-m",
                file.toString(),
                "-p",
                joined(prompts),
                "-n",
                "" + tokens,
                "-d",
                joined(depths),
                "-ngl",
                "99",
                "-fa",
                "1",
                "-r",
                "3",
                "-o",
                "jsonl");
        builder.redirectError(ProcessBuilder.Redirect.INHERIT);
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            int failed = process.waitFor();
            List<String> lines =
                    output.lines().filter(line -> line.startsWith("{")).toList();
            if (failed != 0 || lines.size() != depths.size() * (prompts.size() + 1)) {
                throw new IOException(command + " ended with " + failed + " after " + lines.size() + " figures");
            }
            lines.forEach(line -> report.accept(fields(line)));
        } catch (InterruptedException e) {
            process.destroy();
            Thread.currentThread().interrupt();
            throw new IOException(command + " was interrupted", e);
        }
    }

    private static String joined(List<Integer> values) {
        return String.join(",", values.stream().map(String::valueOf).toList());
    }

    private static String fields(String line) {
        int prompt = (int) number(line, "n_prompt");
        return String.format(
                Locale.ROOT,
                "\"operation\":\"%s\",\"tokens\":%d,\"depth\":%d,\"tokensPerSecond\":%.1f,\"gpu\":\"%s\"",
                prompt > 0 ? "prefill" : "decode",
                prompt > 0 ? prompt : (int) number(line, "n_gen"),
                (int) number(line, "n_depth"),
                number(line, "avg_ts"),
                field(line, "gpu_info", "\"([^\"]*)\""));
    }

    private static double number(String line, String name) {
        return Double.parseDouble(field(line, name, "([-+.0-9eE]+)"));
    }

    private static String field(String line, String name, String value) {
        Matcher matcher = Pattern.compile("\"" + name + "\": *" + value).matcher(line);
        if (!matcher.find()) {
            throw new IllegalStateException("llama-bench says no " + name + ": " + line);
        }
        return matcher.group(1);
    }
}
