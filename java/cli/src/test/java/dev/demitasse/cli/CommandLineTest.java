package dev.demitasse.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.Devices;
import dev.demitasse.GenerationOptions;
import dev.demitasse.chat.Message;
import dev.demitasse.device.Support;
import dev.demitasse.exception.UsageException;
import dev.demitasse.fetch.Catalogue;
import dev.demitasse.fetch.CatalogueEntry;
import dev.demitasse.fetch.ModelCache;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.gguf.SplitName;
import dev.demitasse.testkit.Golden;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.ResourceLock;

@ResourceLock("System.out")
class CommandLineTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /** What a command printed, and its exit code. */
    record Result(int code, String out, String err) {
        JsonNode json() throws IOException {
            return MAPPER.readTree(out);
        }
    }

    static Result run(String... arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream capturedOut = new ByteArrayOutputStream();
        ByteArrayOutputStream capturedErr = new ByteArrayOutputStream();
        System.setOut(new PrintStream(capturedOut, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(capturedErr, true, StandardCharsets.UTF_8));
        try {
            int code = Main.run(arguments);
            return new Result(
                    code, capturedOut.toString(StandardCharsets.UTF_8), capturedErr.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
    }

    private static String tiny() {
        return Golden.tiny("qwen3").toString();
    }

    @Test
    void generateContinuesTokensAsTheGoldenAnswerDoes() throws IOException {
        JsonNode golden = Golden.tinyAnswer("qwen3");
        StringBuilder prompt = new StringBuilder();
        golden.get("tokens")
                .forEach(id -> prompt.append(prompt.isEmpty() ? "" : ",").append(id.asInt()));
        Result result = run(
                "generate",
                "-m",
                tiny(),
                "--tokens",
                prompt.toString(),
                "-n",
                "12",
                "--temp",
                "0",
                "--raw",
                "--json",
                "--logprobs",
                "3",
                "--kv-type",
                "f32");
        assertThat(result.code).isZero();
        assertThat(result.json().get("tokens")).isEqualTo(golden.get("tokens_out"));
        assertThat(result.json().get("promptTokens")).isEqualTo(golden.get("tokens"));
        assertThat(result.json().get("finishReason").asText()).isEqualTo("length");
        assertThat(result.json().get("topLogprobs")).hasSize(12);
        assertThat(result.json().get("topLogprobs").get(0)).hasSize(3);
    }

    @Test
    void tokenizeAndShowPrintJson() throws IOException {
        Result tokens = run("tokenize", "-m", tiny(), "--json", "--", "the");
        assertThat(tokens.json().get("tokens")).hasSize(1);
        JsonNode shown = run("show", tiny(), "--json").json();
        assertThat(shown.get("metadata").get("general.architecture").asText()).isEqualTo("qwen3");
        assertThat(shown.get("tensors")).hasSize(36);
        assertThat(shown.get("bytesPerType").get("F32").asLong()).isPositive();
        for (String figure : List.of("parameters", "activeParameters", "bytesPerToken", "gpuBytes", "contextLength")) {
            assertThat(shown.get(figure).asLong()).as(figure).isPositive();
        }
        assertThat(shown.get("cacheBytesPerPosition").get("F16").asLong())
                .isGreaterThan(shown.get("cacheBytesPerPosition").get("INT8").asLong());
        assertThat(shown.get("stateBytes").asLong()).isZero();
        JsonNode mixture =
                run("show", Golden.tiny("qwen35moe").toString(), "--json").json();
        assertThat(mixture.get("activeParameters").asLong())
                .isLessThan(mixture.get("parameters").asLong());
        assertThat(mixture.get("stateBytes").asLong()).isPositive();
        assertThat(run("show", tiny()).out).contains("token_embd.weight").doesNotContain("bytes on reference");
        assertThat(run("show", tiny(), "--backend", "reference").out).contains("bytes on reference");
        JsonNode onReference =
                run("show", tiny(), "--backend", "reference", "--json").json();
        assertThat(onReference.get("deviceBytes").asLong()).isPositive();
    }

    @Test
    void benchPrintsOneLineForEachFigure() throws IOException {
        Result result =
                run("bench", "-m", tiny(), "-p", "16", "-n", "4", "-d", "8", "-r", "2", "--json", "--threads", "1");
        String[] lines = result.out.strip().split("\n");
        assertThat(lines).hasSize(2);
        JsonNode prefill = MAPPER.readTree(lines[0]);
        assertThat(prefill.get("test").asText()).isEqualTo("pp16@d8");
        assertThat(prefill.get("threads").asInt()).isEqualTo(1);
        assertThat(prefill.get("runs").asInt()).isEqualTo(2);
        assertThat(prefill.get("tokensPerSecond").asDouble()).isPositive();
        assertThat(MAPPER.readTree(lines[1]).get("test").asText()).isEqualTo("tg4@d8");
    }

    @Test
    void perplexityScoresTheSecondHalfOfEachWindow(@TempDir Path folder) throws IOException {
        Path text = Files.writeString(folder.resolve("text.txt"), "the cat sat on the mat. ".repeat(20));
        JsonNode result = run("perplexity", "-m", tiny(), "-f", text.toString(), "--ctx", "64", "--json")
                .json();
        assertThat(result.get("tokens").asInt() % 31).isZero();
        assertThat(result.get("ctx").asInt()).isEqualTo(64);
        assertThat(result.get("perplexity").asDouble()).isGreaterThan(1);
    }

    @Test
    void devicesListsEveryBackend() throws IOException {
        Result result = run("devices", "--json");
        assertThat(result.out.lines().map(CommandLineTest::backend).toList())
                .contains("cuda", "opencl", "native", "vector", "reference");
    }

    private static String backend(String line) {
        try {
            return MAPPER.readTree(line).get("backend").asText();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Test
    void exitCodesTellWrongUsageFromFailure(@TempDir Path folder) throws IOException {
        assertThat(run("generate", "-m", tiny()).code).isEqualTo(2);
        assertThat(run("nonsense").code).isEqualTo(2);
        assertThat(run("generate", "-m", tiny(), "-p", "a", "--temp", "-1").code)
                .isEqualTo(2);
        assertThat(run("generate", "-m", tiny(), "-p", "a", "--kv-type", "int3").code)
                .isEqualTo(2);
        assertThat(run("generate", "-m", "/no/such/file.gguf", "-p", "a").err).contains("There is no file");
        Result backend = run("generate", "-m", tiny(), "-p", "a", "--backend", "no-such-device");
        assertThat(backend.code).isEqualTo(1);
        assertThat(backend.err).contains("There is no backend");
        Path broken = Files.writeString(folder.resolve("broken.gguf"), "GGUF, but not really a model file");
        Result damaged = run("show", broken.toString());
        assertThat(damaged.code).isEqualTo(1);
        assertThat(damaged.err).contains("broken.gguf").doesNotContain("\tat ");
        assertThat(run("--help").code).isZero();
        assertThat(run("generate-completion").out).contains("complete");
    }

    @Test
    void aConversationIsSavedAndLoaded(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("chat.jsonl");
        List<Message> messages = List.of(Message.system("be \"brief\""), Message.user("a\nb"), Message.assistant("é"));
        Repl.save(file, messages);
        assertThat(Repl.load(file)).isEqualTo(messages);
        for (String wrong :
                List.of("no json", "", "[]", "{}", "{\"role\":\"user\"}", "{\"role\":1,\"content\":\"a\"}", "{")) {
            Files.writeString(file, wrong);
            assertThatThrownBy(() -> Repl.load(file)).as(wrong).isInstanceOf(UsageException.class);
        }
        Files.write(file, new byte[] {(byte) 0xC3, 0x28});
        for (Path unusable : List.of(file, folder, folder.resolve("none"))) {
            assertThatThrownBy(() -> Repl.load(unusable)).isInstanceOf(UsageException.class);
        }
        assertThatThrownBy(() -> Repl.save(folder, messages)).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> Repl.save(folder.resolve("none/chat"), messages))
                .isInstanceOf(UsageException.class);
        try (Stream<Path> left = Files.list(folder)) {
            assertThat(left).containsExactly(file);
        }
    }

    /** What stands in a file cannot steer a terminal, and numbers are those of the file. */
    @Test
    void metadataIsPrintedHarmlesslyAndUnsigned(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("strange.gguf");
        try (Gguf source = Gguf.open(Golden.tiny("qwen3"))) {
            GgufWriter.copyOf(source)
                    .metadata(
                            "general.name", MetadataValue.of(MetadataType.STRING, "a\u001B[31mb\u0007\u009B\u202Ec\nd"))
                    .metadata("x.largest", MetadataValue.of(MetadataType.UINT32, -1))
                    .metadata("x.larger", MetadataValue.of(MetadataType.UINT64, -1L))
                    .write(file);
        }
        String shown = run("show", file.toString()).out;
        assertThat(shown)
                .contains("a\\x1b[31mb\\x07\\x9b\\u202ec\\nd")
                .contains("4294967295")
                .contains("18446744073709551615")
                .doesNotContain("\u001B", "\u0007", "\u009B", "\u202E");
        assertThat(run("show", file.toString(), "--json")
                        .json()
                        .get("metadata")
                        .get("x.largest")
                        .asLong())
                .isEqualTo(4294967295L);
        Result refused = run("generate", "-m", "a\u001B[2Jb", "-p", "x");
        assertThat(refused.err).doesNotContain("\u001B");
    }

    @Test
    void everyCommandHelps() {
        for (String command : List.of(
                "chat", "generate", "pull", "ls", "show", "tokenize", "bench", "perplexity", "devices", "tune")) {
            Result help = run(command, "--help");
            assertThat(help.code).as(command).isZero();
            assertThat(help.out).contains("Usage: demitasse " + command);
        }
    }

    @Test
    void textsAreTakenAsTheyStand() throws IOException {
        for (String text : List.of("@@ -1 @@", "@note", "-n", "--", "${x}", "\"a\"")) {
            Result result = run("tokenize", "-m", tiny(), "--json", "--", text);
            assertThat(result.json().get("tokens").size()).as(text).isPositive();
        }
        Result result = run("generate", "-m", tiny(), "-p", "-n", "-n", "1", "--json");
        assertThat(result.json().get("promptTokens")).hasSize(2);
    }

    @Test
    void settingsAreSetByTheirNames() {
        GenerationOptions options = Repl.set(GenerationOptions.DEFAULT, "temp", "0.25");
        options = Repl.set(Repl.set(options, "top-k", "7"), "count", "9");
        assertThat(options.sampling().temperature()).isEqualTo(0.25f);
        assertThat(options.sampling().topK()).isEqualTo(7);
        assertThat(options.maximumTokens()).isEqualTo(9);
        assertThatThrownBy(() -> Repl.set(GenerationOptions.DEFAULT, "nonsense", "1"))
                .isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> Repl.set(GenerationOptions.DEFAULT, "temp", "hot"))
                .isInstanceOf(UsageException.class);
    }

    /** A greedy answer to random tokens repeats itself: with drafts its speed would be that of what it repeats. */
    @Test
    void benchDecodesAPassAToken() {
        assertThat(BenchCommand.options(8).drafts()).isZero();
    }

    @Test
    void everyCatalogueEntryIsComplete() {
        for (CatalogueEntry entry : Catalogue.load().entries()) {
            assertThat(entry.name()).matches("[a-z0-9.-]+");
            assertThat(entry.file()).endsWith(".gguf");
            SplitName split = SplitName.of(entry.file());
            assertThat(split == null || split.isFirst()).as(entry.file()).isTrue();
            assertThat(entry.licence()).isNotEmpty();
            assertThat(entry.wheels().isEmpty()).isEqualTo(entry.repository() != null);
            assertThat(entry.gigabytes()).as(entry.name()).isBetween(0.02, 200.0);
            assertThat(entry.growth()).as(entry.name()).isBetween(1.0, 2.1);
            if (entry.repository() != null) {
                assertThat(ModelCache.huggingFace("hf:" + entry.repository() + "/" + entry.file()))
                        .isNotNull();
            } else {
                assertThat(entry.sha256()).hasSize(64);
                assertThat(entry.size()).isPositive();
            }
        }
    }

    /** Every usual memory has models, and a pull says before it begins where its model fits. */
    @Test
    void whatFitsWhereIsSaid() {
        List<CatalogueEntry> entries = Catalogue.load().entries();
        assertThat(entries.stream().map(CatalogueEntry::fits)).contains(8, 16, 24, 80);
        assertThat(entries).extracting(CatalogueEntry::name).doesNotHaveDuplicates();
        CatalogueEntry demo = entries.getFirst();
        assertThat(demo.name()).isEqualTo(Catalogue.DEMO);
        assertThat(PullCommand.announcement(demo, 9))
                .isEqualTo("Fetching smollm2-135m (Apache-2.0 licence), which takes about 1.1 GB on a card: for cards"
                        + " of 8 GB and more …");
        assertThat(PullCommand.announcement(demo, 0.75)).endsWith("and more. This machine has 0.8 GB left …");
        assertThat(PullCommand.announcement("hf:a/b/c.gguf", 10_000_000_000L, 32))
                .isEqualTo("Fetching hf:a/b/c.gguf (10.0 GB), which takes up to 18.0 GB and a cache where it runs …");
        assertThat(PullCommand.announcement("hf:a/b/c.gguf", 10_000_000_000L, 12))
                .endsWith("runs. This machine has 12.0 GB left …");
    }

    /** What was said in one run is known in the next, and not computed again. */
    @Test
    void aConversationGoesOnInItsFile(@TempDir Path folder) throws IOException {
        String file = folder.resolve("talk").toString();
        String template = folder.resolve("template").toString();
        Files.writeString(Path.of(template), "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
        String[] arguments = {"chat", "-m", tiny(), "--template", template, "--session", file, "-n", "4", "-p"};
        List<String> prompts = new ArrayList<>();
        for (String question : List.of("one two three four five six seven eight nine ten", "and eleven")) {
            Result result = run(
                    Stream.concat(Arrays.stream(arguments), Stream.of(question)).toArray(String[]::new));
            assertThat(result.code).as(result.err).isZero();
            prompts.add(result.err);
        }
        assertThat(prompts.get(0)).doesNotContain("are cached");
        assertThat(prompts.get(1)).contains("are cached");
        Result refused = run("chat", "-m", tiny(), "--session", file, "--system", "Be brief.", "-p", "hm");
        assertThat(refused.code).isEqualTo(2);
        assertThat(refused.err).contains("leave out --system");
    }

    /** The README's first answer, on every backend that works here: no rounding turns it. */
    @Test
    void theDemoModelNamesTheCapitalOfItaly() {
        Golden.model("SmolLM2-135M-Instruct.Q4_1.gguf");
        for (String backend : List.of("native", "vector")) {
            Support support = Devices.probe().get(backend);
            if (support != null && support.ok()) {
                for (String kv : List.of("f16", "int8", "f32")) {
                    Result result = run(
                            "chat",
                            "-p",
                            "What is the capital of Italy?",
                            "--temp",
                            "0",
                            "-n",
                            "16",
                            "--backend",
                            backend,
                            "--kv-type",
                            kv);
                    assertThat(result.code).isZero();
                    assertThat(result.out).as(backend + ", " + kv).contains("Rome");
                }
            }
        }
    }
}
