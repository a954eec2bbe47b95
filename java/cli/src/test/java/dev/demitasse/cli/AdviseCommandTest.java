package dev.demitasse.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.demitasse.cli.CommandLineTest.Result;
import dev.demitasse.kv.KvType;
import dev.demitasse.quantize.advise.Cell;
import dev.demitasse.quantize.advise.Roofline;
import dev.demitasse.quantize.advise.Verification;
import dev.demitasse.testkit.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.ResourceLock;

/** {@code advise}, for cards that are not here and for the machine that runs the test. */
@ResourceLock("System.out")
class AdviseCommandTest {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    @TempDir
    Path folder = Path.of("");

    @Test
    void aCardIsAdvisedAboutByItsName() {
        Result result = CommandLineTest.run("advise", "llama-2-7b", "--device-profile", "h100-pcie");
        assertThat(result.code()).as(result.err()).isZero();
        assertThat(result.out())
                .startsWith("Decoding one session is bound by memory here: Q4_0 should give")
                .contains("FP16 756,000, INT8 1,513,000")
                .contains("512.0 KiB of F16 cache a position")
                .contains("decode, tokens/s")
                .contains("sessions of 4,096 positions that fit");
    }

    /** 16 GiB less 3.8 of weights leave room for six caches of 2; the data sheet's 80 for 37. */
    @Test
    void sessionsAreOfTheMemoryThatIsGiven() {
        String[] card = {"advise", "llama-2-7b", "--device-profile", "h100-pcie"};
        assertThat(CommandLineTest.run(card).out()).containsPattern("Q4_0 .* F16 3[0-9],");
        String[] less = {"advise", "llama-2-7b", "--device-profile", "h100-pcie", "--memory", "16"};
        assertThat(CommandLineTest.run(less).out())
                .contains("16.0 GiB free")
                .containsPattern("Q4_0 .* F16 6, .*INT4 2[0-9]");
        for (String wrong : new String[] {"0", "-1", "NaN"}) {
            less[5] = wrong;
            Result refused = CommandLineTest.run(less);
            assertThat(refused.code()).as(wrong).isEqualTo(2);
            assertThat(refused.err()).as(wrong).contains("give more than none");
        }
    }

    @Test
    void thisMachineIsMeasured() throws IOException {
        Result result = CommandLineTest.run("advise", Golden.tiny("qwen3").toString(), "--json");
        assertThat(result.code()).as(result.err()).isZero();
        List<JsonNode> cells = new ArrayList<>();
        for (String line : result.out().strip().split("\n")) {
            cells.add(MAPPER.readTree(line));
        }
        JsonNode advice = cells.removeFirst();
        assertThat(advice.get("advice")).hasSize(3);
        assertThat(advice.get("bytesPerSecond").asDouble()).isPositive();
        assertThat(advice.get("breakEvens")).hasSize(2).allSatisfy(each -> {
            assertThat(each.get("weights").asText()).isIn("F16", "W8A8");
            assertThat(each.get("over").asText()).isEqualTo("Q4_0");
            assertThat(each.get("rows").asInt()).isBetween(0, 4096);
        });
        assertThat(cells).hasSizeGreaterThanOrEqualTo(60).allSatisfy(cell -> {
            assertThat(cell.get("source").asText()).isEqualTo("measured");
            assertThat(cell.get("tokensPerSecond").asDouble()).isPositive();
            assertThat(cell.get("bound").asText()).isIn("memory", "arithmetic", "launches");
            assertThat(cell.get("sessionsThatFit").asLong()).isPositive();
        });
    }

    /** Of a device that is here the roofline has the rows that were measured. */
    @Test
    void theRooflineOfThisMachineIsOfWhatWasMeasured() throws IOException {
        Path page = folder.resolve("here.html");
        Result result = CommandLineTest.run("advise", Golden.tiny("qwen3").toString(), "--report", page.toString());
        assertThat(result.code()).as(result.err()).isZero();
        String html = Files.readString(page);
        String roofline = html.substring(html.indexOf("<h2>Roofline</h2>"), html.indexOf("<h2>Decode by context</h2>"));
        assertThat(roofline).contains("with 1 to 128 rows", "as measured", "limit, FP32");
        Matcher rows = Pattern.compile("<tr><td>(\\d+)</td>").matcher(roofline);
        assertThat(rows.results().map(row -> row.group(1))).containsExactly("1", "2", "4", "8", "16", "32", "128");
    }

    @Test
    void whatIsNotKnownIsRefusedWithWhatIs() {
        Result card = CommandLineTest.run("advise", "llama-2-7b", "--device-profile", "voodoo2");
        assertThat(card.code()).isEqualTo(2);
        assertThat(card.err()).contains("voodoo2").contains("rtx4090");
        Result model = CommandLineTest.run("advise", "llama-9", "--device-profile", "h200");
        assertThat(model.code()).isEqualTo(2);
        assertThat(model.err()).contains("llama-9").contains("qwen3-8b");
        Result verify = CommandLineTest.run("advise", "llama-2-7b", "--verify");
        assertThat(verify.code()).isEqualTo(2);
        assertThat(verify.err()).contains("Only a model and a device that are here can be verified");
        Result backend = CommandLineTest.run("advise", "llama-2-7b", "--backend", "nothing");
        assertThat(backend.code()).isNotZero();
        assertThat(backend.err()).contains("nothing");
    }

    /** The page holds its script, the sentences and every number; ci/report.sh looks at how a browser draws it. */
    @Test
    void aReportIsOnePageThatReplacesNothingButReports() throws IOException {
        Path page = folder.resolve("advice.html");
        for (int run = 0; run < 2; run++) { // an older report gives way
            Result result = CommandLineTest.run(
                    "advise", "llama-2-7b", "--device-profile", "h100-pcie", "--report", page.toString());
            assertThat(result.code()).as(result.err()).isZero();
        }
        String html = Files.readString(page);
        assertThat(html)
                .contains("<h1>When quantization pays: llama-2-7b</h1>")
                .contains("Decoding one session is bound by memory here")
                .contains("<h2>Roofline</h2>", "<h2>Decode by context</h2>", "<h2>Prefill</h2>", "<h2>Memory</h2>")
                .contains("echarts.init")
                .doesNotContain("<script src", "<link ", "{{title}}", "{{body}}", "{{echarts}}");
        Matcher data = Pattern.compile("data-chart=\"chart\\d\">(.*?)</script>").matcher(html);
        int charts = 0;
        while (data.find()) {
            JsonNode option = MAPPER.readTree(data.group(1));
            assertThat(option.get("series")).isNotEmpty();
            charts++;
        }
        assertThat(charts).isEqualTo(6);
        Path other = folder.resolve("notes.html");
        Files.writeString(other, "mine");
        Result refused = CommandLineTest.run(
                "advise", "llama-2-7b", "--device-profile", "h100-pcie", "--report", other.toString());
        assertThat(refused.code()).isEqualTo(2);
        assertThat(refused.err()).contains("is no report");
        assertThat(other).hasContent("mine");
    }

    /** Each prediction stands in the page beside its measurement. */
    @Test
    void aVerificationIsReportedToo() {
        Roofline.Time time = new Roofline.Time(0.010, 0.008, 0.004, 0.001);
        Cell cell = new Cell("Q4_0", KvType.INT8, Cell.Phase.DECODE, 8, 512, time);
        Cell other = new Cell("F16", KvType.INT8, Cell.Phase.PREFILL, 1, 64, time);
        List<Verification.Checked> cells =
                List.of(new Verification.Checked(cell, 0.008), new Verification.Checked(other, 0.0125));
        Verification.Result result = new Verification.Result(cells, 0.2, 0.25, 1, 1);
        String html = AdviceReport.page(result, "some.gguf", "two cells").html();
        assertThat(html)
                .contains("<h1>Predicted and measured: some.gguf</h1>", "<p>two cells</p>")
                .contains("<td>Q4_0</td><td>INT8</td><td>decode</td><td>8</td><td>512</td><td>10</td><td>8</td>"
                        + "<td>+25 %</td>")
                .contains("<td>-20 %</td>");
    }
}
