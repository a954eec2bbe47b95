package dev.demitasse.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.cli.CommandLineTest.Result;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.ResourceLock;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code quantize}, {@code imatrix} and {@code evaluate}, as a person calls them one after the other. */
@ResourceLock("System.out")
class QuantizeCommandTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    @TempDir
    Path folder = Path.of("");

    private String tiny = "";
    private String text = "";

    @BeforeEach
    void inputs() throws IOException {
        tiny = Golden.tiny("llama").toString();
        text = folder.resolve("text.txt").toString();
        Files.writeString(Path.of(text), "A demitasse holds half of what a cup does. ".repeat(40));
    }

    private String file(String name) {
        return folder.resolve(name).toString();
    }

    @Test
    void aModelIsCalibratedQuantizedAndEvaluated() throws IOException {
        Result imatrix = CommandLineTest.run(
                "imatrix", "-m", tiny, "--backend", "reference", "--ctx", "64", "-f", text, file("imatrix.gguf"));
        assertThat(imatrix.code()).as(imatrix.err()).isZero();

        Result quantized = CommandLineTest.run(
                "quantize", tiny, file("q8.gguf"), "--weights", "q8_0", "--imatrix", file("imatrix.gguf"), "--json");
        assertThat(quantized.code()).as(quantized.err()).isZero();
        String[] lines = quantized.out().strip().split("\n");
        JsonNode whole = MAPPER.readTree(lines[lines.length - 1]);
        assertThat(whole.get("tensors").asInt()).isEqualTo(lines.length - 1);
        assertThat(whole.get("bitsPerWeight").asDouble()).isBetween(8.4, 10.0);
        assertThat(MAPPER.readTree(lines[0]).get("relativeError").asDouble()).isBetween(0.0, 0.01);

        Result evaluated = CommandLineTest.run(
                "evaluate",
                file("q8.gguf"),
                "--base",
                tiny,
                "--backend",
                "reference",
                "--ctx",
                "64",
                "-f",
                text,
                "--kv-type",
                "f32",
                "--base-kv-type",
                "f32",
                "--json");
        assertThat(evaluated.code()).as(evaluated.err()).isZero();
        JsonNode json = evaluated.json();
        for (String field : new String[] {"perplexity", "basePerplexity", "meanKld", "medianKld", "maxKld"}) {
            assertThat(json.get(field).asDouble()).as(field).isPositive();
        }
        assertThat(json.get("meanKld").asDouble()).isLessThan(0.05);
        assertThat(json.get("sameTop").asDouble()).isGreaterThan(0.9);
        assertThat(json.get("tokens").asInt() % 31).isZero();
    }

    /** Channels are scaled for a text; what it cost is told beside what it brought. */
    @ParameterizedTest
    @ValueSource(strings = {"w8a8", "int4"})
    void weightsAreFittedToAText(String weights) throws IOException {
        String out = file(weights + ".gguf");
        Result fitted = CommandLineTest.run("quantize", tiny, out, "--weights", weights, "-f", text);
        assertThat(fitted.code()).as(fitted.err()).isZero();
        Result evaluated = CommandLineTest.run(
                "evaluate", out, "--base", tiny, "--backend", "reference", "--ctx", "64", "-f", text, "--json");
        assertThat(evaluated.code()).as(evaluated.err()).isZero();
        assertThat(evaluated.json().get("meanKld").asDouble()).isBetween(0.0, 1.0);
    }

    /** In one command, and nothing but the file is left. */
    @Test
    void aCheckpointIsFittedToAText() throws IOException {
        Path checkpoint = Path.of("../quantize/src/test/resources/dev/demitasse/quantize/source/checkpoints/qwen3");
        Path own = Files.writeString(folder.resolve("w8a8.gguf.f16.gguf"), "the user's own");
        Result result = CommandLineTest.run(
                "quantize", checkpoint.toString(), file("w8a8.gguf"), "--weights", "w8a8", "-f", text, "--overwrite");
        assertThat(own).hasContent("the user's own");
        assertThat(result.code()).as(result.err()).isZero();
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files.map(each -> String.valueOf(each.getFileName())))
                    .containsExactlyInAnyOrder("text.txt", "w8a8.gguf", "w8a8.gguf.f16.gguf");
        }
        Result again = CommandLineTest.run(
                "quantize", checkpoint.toString(), file("w8a8.gguf"), "--weights", "w8a8", "-f", text);
        assertThat(again.code()).isNotZero();
        assertThat(again.err()).contains("exists");
    }

    /** A run that is killed leaves the checkpoint in 16 bits, whole or in part; the next one goes on with it. */
    @Test
    void aCheckpointIsConvertedOnceForATextThoughRunsAreKilled() throws IOException {
        String checkpoint = "../quantize/src/test/resources/dev/demitasse/quantize/source/checkpoints/qwen3";
        String[] fit = {"quantize", checkpoint, file("w8a8.gguf"), "--weights", "w8a8", "-f", text, "--overwrite"};
        Result first = CommandLineTest.run(fit);
        assertThat(first.code()).as(first.err()).isZero();
        Matcher told = Pattern.compile("Writing the checkpoint in 16 bits to (.+) for as long")
                .matcher(first.err());
        assertThat(told.find()).as(first.err()).isTrue();
        Path left = Path.of(told.group(1));
        assertThat(left.getParent()).doesNotExist();
        byte[] whole = Files.readAllBytes(folder.resolve("w8a8.gguf"));

        Files.createDirectories(left.getParent());
        assertThat(CommandLineTest.run("quantize", checkpoint, left.toString(), "--weights", "f16")
                        .code())
                .isZero();
        Result again = CommandLineTest.run(fit);
        assertThat(again.code()).as(again.err()).isZero();
        assertThat(again.err()).contains("is there from an earlier run");
        assertThat(left.getParent()).doesNotExist();
        assertThat(folder.resolve("w8a8.gguf")).hasBinaryContent(whole);
    }

    @Test
    void theCurveCoversTheWholeWindow() {
        Result result = CommandLineTest.run(
                "evaluate",
                "-m",
                tiny,
                "--base",
                tiny,
                "--kv-type",
                "int8",
                "--backend",
                "reference",
                "--ctx",
                "64",
                "-f",
                text,
                "--curve");
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out()).contains("0 … 2").contains("… 62");
    }

    @Test
    void severalModelsAndCachesAreComparedInOneRun() throws IOException {
        for (String weights : new String[] {"q8_0", "q4_0"}) {
            Result quantized = CommandLineTest.run("quantize", tiny, file(weights + ".gguf"), "--weights", weights);
            assertThat(quantized.code()).as(quantized.err()).isZero();
        }
        Result result = CommandLineTest.run(
                "evaluate",
                file("q8_0.gguf"),
                file("q4_0.gguf"),
                "--kv-types",
                "f16,int4",
                "--base",
                tiny,
                "--backend",
                "reference",
                "--ctx",
                "64",
                "-f",
                text,
                "--json",
                "--report",
                file("all.html"));
        assertThat(result.code()).as(result.err()).isZero();
        List<JsonNode> lines = new ArrayList<>();
        for (String line : result.out().strip().split("\n")) {
            lines.add(MAPPER.readTree(line));
        }
        assertThat(lines)
                .extracting(line ->
                        line.get("model").asText() + " " + line.get("cache").asText())
                .containsExactly(
                        file("q8_0.gguf f16"),
                        file("q8_0.gguf int4 rotated"),
                        file("q4_0.gguf f16"),
                        file("q4_0.gguf int4 rotated"));
        assertThat(lines.get(0).get("meanKld").asDouble())
                .as("eight bits and 16 of the cache lose the least")
                .isLessThan(lines.get(1).get("meanKld").asDouble())
                .isLessThan(lines.get(2).get("meanKld").asDouble());
        assertThat(lines.get(2).get("bitsPerWeight").asDouble())
                .isLessThan(lines.get(0).get("bitsPerWeight").asDouble());
        assertThat(Files.readString(Path.of(file("all.html"))))
                .contains(
                        "<h2>KL divergence against bits per weight</h2>",
                        "<th>" + file("q4_0.gguf (int4 rotated)") + "</th>");
    }

    @Test
    void whatWasFoundBeforeAModelFailedIsInTheReport() throws IOException {
        Result missing = CommandLineTest.run(
                "evaluate", tiny, file("none.gguf"), "--base", tiny, "-f", text, "--report", file("none.html"));
        assertThat(missing.code()).isEqualTo(2);
        assertThat(missing.err()).contains("none.gguf");
        assertThat(missing.out()).as("nothing is run before all are there").isEmpty();

        Files.writeString(Path.of(file("damaged.gguf")), "no model");
        Result other = CommandLineTest.run(
                "evaluate",
                tiny,
                file("damaged.gguf"),
                "--base",
                tiny,
                "--backend",
                "reference",
                "--ctx",
                "64",
                "-f",
                text,
                "--report",
                file("some.html"));
        assertThat(other.code()).isNotZero();
        assertThat(other.err()).contains("damaged.gguf");
        assertThat(Files.readString(Path.of(file("some.html")))).contains("tiny-llama");
    }

    @Test
    void aDryRunWritesNothingAndTellsTheSize() throws IOException {
        Result plan = CommandLineTest.run("quantize", tiny, file("out.gguf"), "--weights", "q4_0", "--dry-run");
        assertThat(plan.code()).as(plan.err()).isZero();
        assertThat(Path.of(file("out.gguf"))).doesNotExist();
        Result real = CommandLineTest.run("quantize", tiny, file("out.gguf"), "--weights", "q4_0");
        String[] planned = plan.out().strip().split("\n");
        String[] written = real.out().strip().split("\n");
        assertThat(planned[planned.length - 1]).isEqualTo(written[written.length - 1]);
    }

    @Test
    void wrongUsageSaysWhatToDo() {
        Result unknown = CommandLineTest.run("quantize", tiny, file("out.gguf"), "--weights", "q9");
        assertThat(unknown.code()).isEqualTo(2);
        assertThat(unknown.err()).contains("q9").contains("Q4_K_M");
        Result again =
                CommandLineTest.run("quantize", Golden.type("Q8_0").toString(), file("o.gguf"), "--weights", "q4_0");
        assertThat(again.code()).isEqualTo(2);
        assertThat(again.err()).contains("--requantize");
        Result none = CommandLineTest.run("quantize", file("none.gguf"), file("o.gguf"), "--weights", "q4_0");
        assertThat(none.code()).isEqualTo(2);
    }

    @Test
    void reportsHoldTensorsAndCurves() throws IOException {
        Result quantized = CommandLineTest.run(
                "quantize", tiny, file("q4.gguf"), "--weights", "q4_0", "--report", file("quantized.html"));
        assertThat(quantized.code()).as(quantized.err()).isZero();
        assertThat(Files.readString(Path.of(file("quantized.html"))))
                .contains("<h2>Error of each tensor</h2>", "<td>blk.0.attn_q.weight</td>");
        Result evaluated = CommandLineTest.run(
                "evaluate",
                file("q4.gguf"),
                "--base",
                tiny,
                "--backend",
                "reference",
                "--ctx",
                "64",
                "-f",
                text,
                "--curve",
                "--report",
                file("evaluated.html"));
        assertThat(evaluated.code()).as(evaluated.err()).isZero();
        assertThat(Files.readString(Path.of(file("evaluated.html"))))
                .contains("<h2>KL divergence along the window</h2>", "<td>mean KL divergence</td>");
    }

    @Test
    void safetensorsAreShown() throws IOException {
        byte[] header = "{\"a.weight\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[0,12]}}"
                .getBytes(StandardCharsets.UTF_8);
        ByteBuffer bytes = ByteBuffer.allocate(8 + header.length + 12).order(ByteOrder.LITTLE_ENDIAN);
        Files.write(
                Path.of(file("model.safetensors")),
                bytes.putLong(header.length).put(header).array());
        Result shown = CommandLineTest.run("show", file("model.safetensors"));
        assertThat(shown.code()).as(shown.err()).isZero();
        assertThat(shown.out()).contains("a.weight").contains("[2, 3]").contains("12 bytes");
        JsonNode json =
                CommandLineTest.run("show", file("model.safetensors"), "--json").json();
        assertThat(json.get("tensors").get(0).get("type").asText()).isEqualTo("BF16");
        assertThat(json.get("bytesPerType").get("BF16").asInt()).isEqualTo(12);
        Result quantized =
                CommandLineTest.run("quantize", file("model.safetensors"), file("o.gguf"), "--weights", "q8_0");
        assertThat(quantized.code()).isNotZero();
        assertThat(quantized.err()).contains("There is no config.json beside");
    }
}
