package dev.demitasse.cli;

import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;

/**
 * One HTML page that needs no network: sentences, charts (Apache ECharts, in the page) with their numbers as tables
 * beside them, and tables alone; light or dark as the reader's system is.
 */
final class ReportPage {
    /** What a report begins with, so that one may take an older one's place, and nothing else. */
    private static final String BEGINNING = "<!doctype html>\n<!-- demitasse report -->\n";

    private static final String SCRIPT = "echarts.min.js";

    private final String title;
    private final List<String> body = new ArrayList<>();
    private int charts;

    ReportPage(String title) {
        this.title = title;
    }

    /**
     * Refuses a path at which something stands that is no report.
     *
     * @throws UsageException where it is so, or a report cannot be written there
     */
    static void requireWritable(Path path) {
        Path folder = path.toAbsolutePath().getParent();
        if (Files.isDirectory(path) || folder == null || !Files.isDirectory(folder)) {
            throw new UsageException("A report cannot be written to " + path + "; its folder must be there.");
        }
        if (Files.exists(path)) {
            try (InputStream in = Files.newInputStream(path)) {
                byte[] first = in.readNBytes(BEGINNING.length());
                if (!new String(first, StandardCharsets.UTF_8).equals(BEGINNING)) {
                    throw new UsageException(path + " is there already, and is no report; give another name.");
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    ReportPage paragraph(String text) {
        body.add("<p>" + escaped(text) + "</p>");
        return this;
    }

    ReportPage chart(Chart chart) {
        return chart(chart, chart.columns(), chart.rows());
    }

    /** A chart whose table is not simply its points. */
    ReportPage chart(Chart chart, List<String> columns, List<List<String>> rows) {
        String id = "chart" + charts++;
        body.add("<section><h2>" + escaped(chart.title()) + "</h2><p>" + escaped(chart.note())
                + "</p><div class=\"row\">"
                + "<div class=\"chart\" id=\"" + id + "\"></div>" + table(columns, rows) + "</div>"
                + "<script type=\"application/json\" data-chart=\"" + id + "\">" + inScript(chart.option())
                + "</script></section>");
        return this;
    }

    ReportPage table(String heading, List<String> columns, List<List<String>> rows) {
        body.add("<section><h2>" + escaped(heading) + "</h2>" + table(columns, rows) + "</section>");
        return this;
    }

    private static String table(List<String> columns, List<List<String>> rows) {
        StringBuilder out = new StringBuilder("<div class=\"table\"><table><thead><tr>");
        columns.forEach(column -> out.append("<th>").append(escaped(column)).append("</th>"));
        out.append("</tr></thead><tbody>");
        for (List<String> row : rows) {
            out.append("<tr>");
            row.forEach(cell -> out.append("<td>").append(escaped(cell)).append("</td>"));
            out.append("</tr>");
        }
        return out.append("</tbody></table></div>").toString();
    }

    private static String escaped(String text) {
        return Console.harmless(text)
                .replace("&", "&amp;")
                .replace("<", "&lt;")
                .replace(">", "&gt;")
                .replace("\"", "&quot;");
    }

    /** JSON in a script element: nothing in it can end that. */
    private static String inScript(String json) {
        return json.replace("<", "\\u003c");
    }

    /** The whole page. */
    String html() {
        return BEGINNING
                + resource("report.html")
                        .replace("{{title}}", escaped(title))
                        .replace("{{body}}", String.join("\n", body))
                        .replace("{{echarts}}", resource(SCRIPT).replace("</script", "<\\/script"));
    }

    /** Writes the page; a report of that name is replaced when the new one is whole. */
    void write(Path path) {
        requireWritable(path);
        Path partial = path.resolveSibling(path.getFileName() + ".partial");
        try {
            Files.writeString(partial, html());
            Files.move(partial, path, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Console.note("Report: " + path);
    }

    private static String resource(String name) {
        try (InputStream in = ReportPage.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException(name + " is missing from the jar");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
