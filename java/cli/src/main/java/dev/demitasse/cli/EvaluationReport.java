package dev.demitasse.cli;

import dev.demitasse.quantize.Estimate;
import dev.demitasse.quantize.Evaluation;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/** What {@code evaluate} found, as a page. */
final class EvaluationReport {
    /** A row of the table: its value and standard error of what was evaluated. */
    private record Figure(String name, Function<Evaluated, List<String>> cells) {}

    private static final List<Figure> FIGURES = List.of(
            new Figure("perplexity", each -> cells(each.result().perplexity())),
            new Figure("perplexity of the base", each -> cells(each.result().basePerplexity())),
            new Figure("ln(perplexity / base)", each -> cells(each.result().logRatio())),
            new Figure("mean KL divergence", each -> cells(each.result().meanKld())),
            new Figure("median", each -> cells(each.result().medianKld())),
            new Figure("99 %", each -> cells(each.result().kld99())),
            new Figure("largest", each -> cells(each.result().maxKld())),
            new Figure("same top token", each -> cells(each.result().sameTop())),
            new Figure("bits per weight", each -> cells(each.bits())));

    private EvaluationReport() {}

    static ReportPage page(List<Evaluated> all, Evaluated.Base base, int window) {
        String name = all.size() == 1 ? all.getFirst().name() : all.size() + " models and caches";
        ReportPage page = new ReportPage("How far " + name + (all.size() == 1 ? " is" : " are") + " from "
                + base.model() + " (" + base.cache() + ")");
        for (Evaluated each : all) {
            page.paragraph(String.format(
                    Locale.ROOT,
                    "%s: perplexity %.4g beside %.4g; mean KL divergence %.5f; the same token is the most likely in"
                            + " %.1f %% of %,d positions, in windows of %,d tokens.",
                    each.name(),
                    each.result().perplexity().mean(),
                    each.result().basePerplexity().mean(),
                    each.result().meanKld().mean(),
                    100 * each.result().sameTop().mean(),
                    each.result().tokens(),
                    window));
        }
        if (all.stream().map(Evaluated::model).distinct().count() > 1) {
            page.chart(byBits(all));
        }
        page.chart(all.size() == 1 ? drift(all.getFirst().result()) : drifts(all));
        List<String> columns = new ArrayList<>(List.of("figure"));
        for (Evaluated each : all) {
            columns.add(all.size() == 1 ? "value" : each.name());
            columns.add("standard error");
        }
        return page.table("Figures", columns, figures(all));
    }

    private static Chart byBits(List<Evaluated> all) {
        List<Chart.Series> series = new ArrayList<>();
        for (Evaluated each : all) {
            double mean = each.result().meanKld().mean();
            if (mean > 0) { // else it has no place on a logarithmic axis
                series.add(
                        new Chart.Series(each.name(), Chart.Kind.SCATTER, List.of(new double[] {each.bits(), mean})));
            }
        }
        return new Chart(
                "KL divergence against bits per weight",
                "Left is smaller and faster, low is nearer to the base.",
                Chart.Axis.linear("bits per weight"),
                Chart.Axis.logarithmic("mean KL divergence"),
                series);
    }

    private static Chart drifts(List<Evaluated> all) {
        List<Chart.Series> series = new ArrayList<>();
        for (Evaluated each : all) {
            series.add(new Chart.Series(each.name(), Chart.Kind.LINE, points(each.result(), 0)));
        }
        return drift("Does the error grow with the position?", series);
    }

    private static Chart drift(Evaluation.Result result) {
        return drift(
                "Does the error grow with the position? Between the dots: one standard error to either side.",
                List.of(
                        new Chart.Series("mean", Chart.Kind.LINE, points(result, 0)),
                        new Chart.Series("mean + error", Chart.Kind.SCATTER, points(result, 1)),
                        new Chart.Series("mean - error", Chart.Kind.SCATTER, points(result, -1))));
    }

    private static Chart drift(String note, List<Chart.Series> series) {
        return new Chart(
                "KL divergence along the window",
                note,
                Chart.Axis.linear("position"),
                Chart.Axis.linear("mean KL divergence"),
                series);
    }

    /** The mean of each stretch, {@code errors} standard errors above it. */
    private static List<double[]> points(Evaluation.Result result, int errors) {
        List<double[]> points = new ArrayList<>();
        for (Evaluation.Stretch stretch : result.curve()) {
            Estimate mean = stretch.meanKld();
            points.add(
                    new double[] {(stretch.first() + stretch.last()) / 2.0, mean.mean() + errors * mean.standardError()
                    });
        }
        return points;
    }

    private static List<List<String>> figures(List<Evaluated> all) {
        List<List<String>> rows = new ArrayList<>();
        for (Figure figure : FIGURES) {
            List<String> row = new ArrayList<>(List.of(figure.name));
            all.forEach(each -> row.addAll(figure.cells.apply(each)));
            rows.add(row);
        }
        return rows;
    }

    private static List<String> cells(Estimate estimate) {
        return List.of(Chart.number(estimate.mean()), Chart.number(estimate.standardError()));
    }

    private static List<String> cells(double value) {
        return List.of(Chart.number(value), "");
    }
}
