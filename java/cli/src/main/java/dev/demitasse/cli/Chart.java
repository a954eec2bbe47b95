package dev.demitasse.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;

/**
 * A chart of a report, and its numbers as a table.
 *
 * @param title what it shows
 * @param note how to read it
 * @param x the horizontal axis
 * @param y the vertical axis
 * @param series what is drawn
 */
record Chart(String title, String note, Axis x, Axis y, List<Series> series) {
    /**
     * An axis.
     *
     * @param name with the unit
     * @param logarithmic whether equal steps are equal factors
     * @param categories names of whole numbers from 0 on; none where the axis has numbers
     */
    record Axis(String name, boolean logarithmic, List<String> categories) {
        static Axis linear(String name) {
            return new Axis(name, false, List.of());
        }

        static Axis logarithmic(String name) {
            return new Axis(name, true, List.of());
        }

        private void write(JsonGenerator out, int gap) throws IOException {
            out.writeStringField("type", !categories.isEmpty() ? "category" : logarithmic ? "log" : "value");
            out.writeStringField("name", name);
            out.writeStringField("nameLocation", "middle");
            out.writeNumberField("nameGap", gap);
            if (!categories.isEmpty()) {
                out.writeArrayFieldStart("data");
                for (String category : categories) {
                    out.writeString(category);
                }
                out.writeEndArray();
            }
        }

        private String label(double value) {
            return categories.isEmpty() ? number(value) : categories.get((int) value);
        }
    }

    /** How a series is drawn. */
    enum Kind {
        LINE,
        SCATTER,
        /** Bars that stand on each other. */
        BAR
    }

    /**
     * Points.
     *
     * @param points pairs of x and y, x ascending
     */
    record Series(String name, Kind kind, List<double[]> points) {}

    /** The chart as an option of ECharts. */
    String option() {
        return JsonLine.of(out -> {
            out.writeObjectFieldStart("tooltip");
            out.writeStringField("trigger", "item");
            out.writeEndObject();
            out.writeObjectFieldStart("legend");
            out.writeStringField("type", "scroll");
            out.writeEndObject();
            out.writeObjectFieldStart("grid");
            out.writeNumberField("left", 80);
            out.writeNumberField("right", 30);
            out.writeNumberField("bottom", 55);
            out.writeEndObject();
            out.writeBooleanField("animation", false);
            out.writeObjectFieldStart("xAxis");
            x.write(out, 32);
            out.writeEndObject();
            out.writeObjectFieldStart("yAxis");
            y.write(out, 60);
            out.writeEndObject();
            out.writeArrayFieldStart("series");
            for (Series each : series) {
                write(out, each);
            }
            out.writeEndArray();
        });
    }

    private static void write(JsonGenerator out, Series series) throws IOException {
        out.writeStartObject();
        out.writeStringField("name", series.name);
        out.writeStringField("type", series.kind.name().toLowerCase(Locale.ROOT));
        if (series.kind == Kind.BAR) {
            out.writeStringField("stack", "all");
        }
        out.writeArrayFieldStart("data");
        for (double[] point : series.points) {
            out.writeArray(point, 0, point.length);
        }
        out.writeEndArray();
        out.writeEndObject();
    }

    /** The names of the table's columns. */
    List<String> columns() {
        List<String> names = new ArrayList<>(List.of(x.name));
        series.forEach(each -> names.add(each.name));
        return names;
    }

    /** The table: a row for each x. */
    List<List<String>> rows() {
        TreeSet<Double> all = new TreeSet<>();
        series.forEach(each -> each.points.forEach(point -> all.add(point[0])));
        List<List<String>> rows = new ArrayList<>();
        for (double at : all) {
            List<String> row = new ArrayList<>(List.of(x.label(at)));
            for (Series each : series) {
                row.add(each.points.stream()
                        .filter(point -> point[0] == at)
                        .findFirst()
                        .map(point -> number(point[1]))
                        .orElse(""));
            }
            rows.add(row);
        }
        return rows;
    }

    /** A number with four digits that count; a whole one as it is. */
    static String number(double value) {
        double magnitude = Math.abs(value);
        if (value == Math.rint(value) || magnitude >= 1000) {
            return String.format(Locale.ROOT, "%,.0f", value);
        }
        int places = Math.clamp(3 - (long) Math.floor(Math.log10(magnitude)), 0, 9);
        return String.format(Locale.ROOT, "%." + places + "f", value);
    }
}
