package dev.demitasse.cli;

import dev.demitasse.quantize.TensorSummary;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** What {@code quantize} wrote, as a page. */
final class QuantizationReport {
    private QuantizationReport() {}

    static ReportPage page(List<TensorSummary> tensors, String model) {
        long bytes = tensors.stream().mapToLong(TensorSummary::bytes).sum();
        long elements = tensors.stream().mapToLong(TensorSummary::elements).sum();
        ReportPage page = new ReportPage("What became of " + model);
        page.paragraph(String.format(
                Locale.ROOT,
                "%,d tensors, %,d bytes, %.2f bits per weight.",
                tensors.size(),
                bytes,
                8.0 * bytes / elements));
        Map<String, List<double[]>> errors = new TreeMap<>();
        Map<String, List<double[]>> outliers = new TreeMap<>();
        List<List<String>> rows = new ArrayList<>();
        for (int i = 0; i < tensors.size(); i++) {
            TensorSummary tensor = tensors.get(i);
            boolean known = !Double.isNaN(tensor.relativeError());
            if (known && tensor.relativeError() > 0) {
                String type = tensor.to().name();
                errors.computeIfAbsent(type, name -> new ArrayList<>()).add(new double[] {i, tensor.relativeError()});
                outliers.computeIfAbsent(type, name -> new ArrayList<>()).add(new double[] {i, tensor.outlierRatio()});
            }
            rows.add(List.of(
                    tensor.name(),
                    tensor.from().name(),
                    tensor.to().name(),
                    String.format(Locale.ROOT, "%,d", tensor.bytes()),
                    known ? Chart.number(tensor.relativeError()) : "",
                    known ? Chart.number(tensor.outlierRatio()) : ""));
        }
        if (!errors.isEmpty()) {
            page.chart(scatter(
                    "Error of each tensor",
                    "relative error",
                    "Root of the squared error beside the tensor's"
                            + " own square, by the order of tensors in the file.",
                    errors));
            page.chart(scatter(
                    "Outliers of each tensor",
                    "largest / root mean square",
                    "How far the largest weight is" + " from the usual one.",
                    outliers));
        }
        return page.table("Tensors", List.of("tensor", "from", "to", "bytes", "relative error", "outlier ratio"), rows);
    }

    private static Chart scatter(String title, String axis, String note, Map<String, List<double[]>> points) {
        List<Chart.Series> series = new ArrayList<>();
        points.forEach((name, list) -> series.add(new Chart.Series(name, Chart.Kind.SCATTER, list)));
        return new Chart(title, note, Chart.Axis.linear("tensor"), Chart.Axis.logarithmic(axis), series);
    }
}
