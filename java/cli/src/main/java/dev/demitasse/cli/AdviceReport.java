package dev.demitasse.cli;

import dev.demitasse.kv.KvType;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.quantize.advise.Advice;
import dev.demitasse.quantize.advise.Cell;
import dev.demitasse.quantize.advise.DeviceProfile;
import dev.demitasse.quantize.advise.Verification;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.ToIntFunction;

/** What {@code advise} found, as a page. */
final class AdviceReport {
    private static final double GIGA = 1e9;
    /** Where a data sheet's products are predicted; measured ones are shown where they were measured. */
    private static final double[] ROWS = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

    private static final double LEAST_INTENSITY = 0.5;
    private static final double MOST_INTENSITY = 2048;
    private static final int USUAL_DEPTH = 1024;
    private static final int SESSIONS = 8;
    private static final int GROUP = 32;
    /** The weights with which types of cache are compared. */
    private static final String CACHED = "Q4_0";

    private AdviceReport() {}

    static ReportPage page(Advice advice, String device) {
        ReportPage page =
                new ReportPage("When quantization pays: " + advice.shape().name());
        advice.sentences().forEach(page::paragraph);
        page.paragraph(device);
        int depth = advice.cells().stream()
                .filter(cell -> cell.phase() == Cell.Phase.DECODE)
                .mapToInt(Cell::tokens)
                .filter(tokens -> tokens <= USUAL_DEPTH)
                .max()
                .orElseThrow();
        Predicate<Cell> usual = cell -> cell.phase() == Cell.Phase.DECODE && cell.cache() == KvType.F16;
        roofline(page, advice.device());
        return page.chart(speeds(
                        advice,
                        "Decode by context",
                        "One session, F16 cache: what it costs to see more tokens.",
                        "tokens before",
                        usual.and(cell -> cell.sessions() == 1),
                        Cell::tokens))
                .chart(speeds(
                        advice,
                        "Decode by sessions",
                        "Tokens/s of all sessions together, " + depth + " tokens before each, F16 cache.",
                        "sessions",
                        usual.and(cell -> cell.tokens() == depth),
                        Cell::sessions))
                .chart(caches(advice))
                .chart(speeds(
                        advice,
                        "Prefill",
                        "Prompts of one session.",
                        "tokens of the prompt",
                        cell -> cell.phase() == Cell.Phase.PREFILL && cell.cache() == KvType.F16,
                        Cell::tokens))
                .chart(memory(advice));
    }

    /** Predictions beside what was measured. */
    static ReportPage page(Verification.Result result, String model, String sentence) {
        ReportPage page = new ReportPage("Predicted and measured: " + model);
        page.paragraph(sentence);
        Map<String, List<double[]>> points = new LinkedHashMap<>();
        List<List<String>> table = new ArrayList<>();
        double most = 0;
        double least = Double.POSITIVE_INFINITY;
        for (Verification.Checked checked : result.cells()) {
            Cell cell = checked.cell();
            double measured = checked.seconds() * 1e3;
            double predicted = cell.time().seconds() * 1e3;
            most = Math.max(most, measured);
            least = Math.min(least, measured);
            points.computeIfAbsent(cell.weights(), weights -> new ArrayList<>())
                    .add(new double[] {measured, predicted});
            table.add(List.of(
                    cell.weights(),
                    cell.cache().toString(),
                    cell.phase().name().toLowerCase(Locale.ROOT),
                    Chart.number(cell.sessions()),
                    Chart.number(cell.tokens()),
                    Chart.number(predicted),
                    Chart.number(measured),
                    String.format(Locale.ROOT, "%+.0f %%", 100 * checked.error())));
        }
        List<Chart.Series> series = new ArrayList<>();
        series.add(new Chart.Series(
                "as measured", Chart.Kind.LINE, List.of(new double[] {least, least}, new double[] {most, most})));
        points.forEach((weights, each) -> {
            each.sort((a, b) -> Double.compare(a[0], b[0]));
            series.add(new Chart.Series(weights, Chart.Kind.SCATTER, each));
        });
        Chart chart = new Chart(
                "Predicted and measured",
                "A point is a step or a prompt with one choice of weights and cache; on the line the prediction is what"
                        + " was measured.",
                Chart.Axis.logarithmic("measured, ms"),
                Chart.Axis.logarithmic("predicted, ms"),
                series);
        List<String> columns =
                List.of("weights", "cache", "phase", "sessions", "tokens", "predicted, ms", "measured, ms", "off by");
        return page.chart(chart, columns, table);
    }

    /** What the device could do at most, and what its products reach, reading included. */
    private static void roofline(ReportPage page, DeviceProfile device) {
        List<Chart.Series> series = new ArrayList<>();
        series.add(roof("limit, FP32", device.readBandwidth(), device.peaks().fp32()));
        series.add(roof("limit, FP16", device.readBandwidth(), device.peaks().fp16()));
        series.add(roof("limit, INT8", device.readBandwidth(), device.peaks().int8()));
        List<String> columns = new ArrayList<>(List.of("rows"));
        List<List<String>> table = new ArrayList<>();
        double[] rows = device.isMeasured()
                ? device.linear().values().iterator().next().seconds().rows()
                : ROWS;
        for (double count : rows) {
            table.add(new ArrayList<>(List.of(Chart.number(count))));
        }
        device.linear().forEach((layout, cost) -> {
            if (!layout.equals(WeightLayout.F16) && layout.group() != GROUP && layout.group() != WeightLayout.ROW) {
                return; // kinds that few files have, or none
            }
            columns.add(layout.toString());
            List<double[]> points = new ArrayList<>();
            for (int i = 0; i < rows.length; i++) {
                double seconds = cost.overlapped(
                        rows[i],
                        cost.bytesPerWeight() / device.readBandwidth(),
                        cost.seconds().at(rows[i]));
                double speed = 2.0 * rows[i] / seconds / GIGA;
                points.add(new double[] {2.0 * rows[i] / cost.bytesPerWeight(), speed});
                table.get(i).add(Chart.number(speed));
            }
            series.add(new Chart.Series(layout.toString(), Chart.Kind.SCATTER, points));
        });
        Chart chart = new Chart(
                "Roofline",
                "Products with " + Chart.number(rows[0]) + " to " + Chart.number(rows[rows.length - 1])
                        + " rows (the table: G operations/s), "
                        + (device.isMeasured()
                                ? "as measured with a matrix in the caches, and what reading it from memory adds"
                                : "as the data sheet lets expect them")
                        + ": few rows lie below the slope, which is reading; many rows below the flat part, which is"
                        + " arithmetic.",
                Chart.Axis.logarithmic("operations a byte"),
                Chart.Axis.logarithmic("G operations/s"),
                series);
        page.chart(chart, columns, table);
    }

    private static Chart.Series roof(String name, double bandwidth, double peak) {
        List<double[]> points = new ArrayList<>();
        for (double intensity : new double[] {LEAST_INTENSITY, peak / bandwidth, MOST_INTENSITY}) {
            points.add(new double[] {intensity, Math.min(peak, intensity * bandwidth) / GIGA});
        }
        points.sort((a, b) -> Double.compare(a[0], b[0]));
        return new Chart.Series(name, Chart.Kind.LINE, points);
    }

    private static Chart speeds(
            Advice advice, String title, String note, String axis, Predicate<Cell> chosen, ToIntFunction<Cell> place) {
        List<Chart.Series> series = new ArrayList<>();
        for (Advice.Storage storage : advice.storage()) {
            List<double[]> points = advice.cells().stream()
                    .filter(chosen)
                    .filter(cell -> cell.weights().equals(storage.weights()))
                    .map(cell -> new double[] {place.applyAsInt(cell), cell.tokensPerSecond()})
                    .toList();
            series.add(new Chart.Series(storage.weights(), Chart.Kind.LINE, points));
        }
        return new Chart(title, note, Chart.Axis.logarithmic(axis), Chart.Axis.linear("tokens/s"), series);
    }

    /** What a smaller cache gains, by the tokens in it. */
    private static Chart caches(Advice advice) {
        List<Chart.Series> series = new ArrayList<>();
        Predicate<Cell> steps = cell -> cell.phase() == Cell.Phase.DECODE
                && cell.sessions() == 1
                && cell.weights().equals(CACHED);
        Map<KvType, List<double[]>> points = new LinkedHashMap<>();
        advice.cells().stream()
                .filter(steps)
                .forEach(cell -> points.computeIfAbsent(cell.cache(), cache -> new ArrayList<>())
                        .add(new double[] {cell.tokens(), cell.tokensPerSecond()}));
        points.forEach((cache, each) -> series.add(new Chart.Series(cache.toString(), Chart.Kind.LINE, each)));
        return new Chart(
                "Decode by cache",
                "One session, " + CACHED + " weights, each type of cache.",
                Chart.Axis.logarithmic("tokens before"),
                Chart.Axis.linear("tokens/s"),
                series);
    }

    /** Weights, and the caches of some sessions on them. */
    private static Chart memory(Advice advice) {
        int context = advice.storage().getFirst().context();
        double mebi = 1 << 20;
        List<String> names =
                advice.storage().stream().map(Advice.Storage::weights).toList();
        List<double[]> weights = new ArrayList<>();
        for (int i = 0; i < names.size(); i++) {
            weights.add(new double[] {i, advice.storage().get(i).bytes() / mebi});
        }
        List<Chart.Series> series = new ArrayList<>(List.of(new Chart.Series("weights", Chart.Kind.BAR, weights)));
        double before = 0;
        for (KvType cache : List.of(KvType.INT4, KvType.INT8, KvType.F16)) { // each a part of the next
            double caches = SESSIONS * advice.shape().sessionBytes(cache, context) / mebi;
            String name =
                    before == 0 ? "caches in " + cache : "more for " + (cache == KvType.INT8 ? "INT8 or FP8" : cache);
            series.add(new Chart.Series(name, Chart.Kind.BAR, all(names.size(), caches - before)));
            before = caches;
        }
        return new Chart(
                "Memory",
                String.format(
                        Locale.ROOT,
                        "Weights, the caches of %d sessions of %,d tokens in INT4, and what other types take more;"
                                + " %,.0f MiB are free.",
                        SESSIONS,
                        context,
                        advice.device().memoryBytes() / mebi),
                new Chart.Axis("weights", false, names),
                Chart.Axis.linear("MiB"),
                series);
    }

    private static List<double[]> all(int count, double value) {
        List<double[]> points = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            points.add(new double[] {i, value});
        }
        return points;
    }
}
