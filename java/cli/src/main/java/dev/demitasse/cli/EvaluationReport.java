package dev.demitasse.cli;

import dev.demitasse.quantize.Estimate;
import dev.demitasse.quantize.Evaluation;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** What {@code evaluate} found, as a page. */
final class EvaluationReport {
    private EvaluationReport() {}

    static ReportPage page(Evaluation.Result result, String model, String base, int window) {
        ReportPage page = new ReportPage("How far " + model + " is from " + base);
        page.paragraph(String.format(
                Locale.ROOT,
                "Perplexity %.4g beside %.4g; mean KL divergence %.5f; the same token is the most likely in %.1f %% of"
                        + " %,d positions, in windows of %,d tokens.",
                result.perplexity().mean(),
                result.basePerplexity().mean(),
                result.meanKld().mean(),
                100 * result.sameTop().mean(),
                result.tokens(),
                window));
        List<double[]> means = new ArrayList<>();
        List<double[]> upper = new ArrayList<>();
        List<double[]> lower = new ArrayList<>();
        for (Evaluation.Stretch stretch : result.curve()) {
            Estimate mean = stretch.meanKld();
            double middle = (stretch.first() + stretch.last()) / 2.0;
            means.add(new double[] {middle, mean.mean()});
            upper.add(new double[] {middle, mean.mean() + mean.standardError()});
            lower.add(new double[] {middle, mean.mean() - mean.standardError()});
        }
        page.chart(new Chart(
                "KL divergence along the window",
                "Does the error grow with the position? Between the dots: one standard error to either side.",
                Chart.Axis.linear("position"),
                Chart.Axis.linear("mean KL divergence"),
                List.of(
                        new Chart.Series("mean", Chart.Kind.LINE, means),
                        new Chart.Series("mean + error", Chart.Kind.SCATTER, upper),
                        new Chart.Series("mean - error", Chart.Kind.SCATTER, lower))));
        return page.table(
                "Figures",
                List.of("figure", "value", "standard error"),
                List.of(
                        row("perplexity", result.perplexity()),
                        row("perplexity of the base", result.basePerplexity()),
                        row("ln(perplexity / base)", result.logRatio()),
                        row("mean KL divergence", result.meanKld()),
                        List.of("median", Chart.number(result.medianKld()), ""),
                        List.of("99 %", Chart.number(result.kld99()), ""),
                        List.of("largest", Chart.number(result.maxKld()), ""),
                        row("same top token", result.sameTop())));
    }

    private static List<String> row(String name, Estimate estimate) {
        return List.of(name, Chart.number(estimate.mean()), Chart.number(estimate.standardError()));
    }
}
