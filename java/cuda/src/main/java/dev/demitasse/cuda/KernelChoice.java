package dev.demitasse.cuda;

import dev.demitasse.CacheFolder;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Which form of a multiplication of many rows by integer weights is the quickest, as far as it was measured: on cards
 * that the project was run on (the resource {@code selection.tsv}), and before those on this one ({@link Tuning}). All
 * forms give the same bits. For one device: not thread-safe.
 */
final class KernelChoice {
    private static final System.Logger LOG = System.getLogger(KernelChoice.class.getName());

    /** Nothing was measured. */
    static final KernelChoice NONE = new KernelChoice(List.of());

    /** What the first line of a table says. */
    static final String HEADER =
            String.join("\t", "capability", "multiprocessors", "weights", "rows", "outputs", "columns", "form", "us");

    /** How far a number may be from the measured one, as a factor. */
    private static final double NEAR = 1.5;

    private static final int MOST_KNOWN = 4096;

    /**
     * A form: wgmma, or tiles.
     *
     * @param tileRows rows of a tile, 16, 32, 64 or 128; 0 for wgmma
     * @param divided whether the columns are divided among blocks, whose sums a second kernel adds up
     */
    record Form(int tileRows, boolean divided) {
        static final Form WGMMA = new Form(0, false);

        /** All that there are. */
        static final List<Form> ALL = Stream.concat(
                        Stream.of(WGMMA),
                        Stream.of(16, 32, 64, 128)
                                .flatMap(tile -> Stream.of(new Form(tile, false), new Form(tile, true))))
                .toList();

        @Override
        public String toString() {
            return tileRows == 0 ? "wgmma" : "tile " + tileRows + (divided ? ", divided" : "");
        }

        static Form parse(String text) {
            return ALL.stream()
                    .filter(form -> form.toString().equals(text))
                    .findFirst()
                    .orElseThrow(() -> new IllegalArgumentException("\"" + text + "\" is no form"));
        }
    }

    /**
     * What was measured.
     *
     * @param weights bits and group, such as {@code int4/32}; group 0 is a row
     * @param form the quickest
     */
    record Line(
            int capability,
            int multiprocessors,
            String weights,
            int rows,
            int outputs,
            int columns,
            Form form,
            double microseconds) {
        static Line parse(String text) {
            String[] fields = text.split("\t", -1);
            if (fields.length != 8) {
                throw new IllegalArgumentException(fields.length + " fields, not 8");
            }
            return new Line(
                    Integer.parseInt(fields[0]),
                    Integer.parseInt(fields[1]),
                    fields[2],
                    Integer.parseInt(fields[3]),
                    Integer.parseInt(fields[4]),
                    Integer.parseInt(fields[5]),
                    Form.parse(fields[6]),
                    Double.parseDouble(fields[7]));
        }

        @Override
        public String toString() {
            return String.format(
                    Locale.ROOT,
                    "%d\t%d\t%s\t%d\t%d\t%d\t%s\t%.2f",
                    capability,
                    multiprocessors,
                    weights,
                    rows,
                    outputs,
                    columns,
                    form,
                    microseconds);
        }

        /** How unlike a multiplication is: the sum of the logarithms of factors; infinite where one is beyond near. */
        private double distance(KernelTable.Multiplication m) {
            return distance(rows, m.rows()) + distance(outputs, m.outputs()) + distance(columns, m.columns());
        }

        private static double distance(int a, int b) {
            double logarithm = Math.abs(Math.log((double) a / b));
            return logarithm <= Math.log(NEAR) ? logarithm : Double.POSITIVE_INFINITY;
        }
    }

    /** A multiplication that was asked for. */
    private record Cell(String weights, int rows, int outputs, int columns) {}

    private final List<Line> lines;
    private final Map<Cell, Optional<Form>> known = new HashMap<>();
    private @Nullable Form forced;

    KernelChoice(List<Line> lines) {
        this.lines = List.copyOf(lines);
    }

    /** How many measurements it goes by. */
    int size() {
        return lines.size();
    }

    /** From now on this form, wherever it is possible; null for what was measured. */
    void force(@Nullable Form form) {
        forced = form;
    }

    /** The form of the multiplication that is the most like this one; null where none was measured that is near. */
    @Nullable
    Form find(KernelTable.Multiplication m) {
        if (forced != null || lines.isEmpty()) {
            return forced;
        }
        if (known.size() > MOST_KNOWN) {
            known.clear();
        }
        Cell cell = new Cell(m.weights(), m.rows(), m.outputs(), m.columns());
        return known.computeIfAbsent(cell, c -> Optional.ofNullable(nearest(m))).orElse(null);
    }

    private @Nullable Form nearest(KernelTable.Multiplication m) {
        Line nearest = null;
        double least = Double.POSITIVE_INFINITY;
        for (Line line : lines) {
            double distance = line.weights.equals(m.weights()) ? line.distance(m) : Double.POSITIVE_INFINITY;
            if (distance < least) {
                nearest = line;
                least = distance;
            }
        }
        return nearest == null ? null : nearest.form;
    }

    /** What is known of a GPU; what was measured on it counts alone, where there is that. */
    static KernelChoice of(Driver.Gpu gpu) {
        if (!Files.isDirectory(folder())) {
            return shipped(gpu); // nobody has tuned: the kernels need not be read for their checksum
        }
        Path own = file(gpu);
        if (Files.exists(own)) {
            try {
                return new KernelChoice(parse(Files.readString(own), gpu));
            } catch (IOException | IllegalArgumentException e) {
                LOG.log(
                        System.Logger.Level.WARNING,
                        "cuda: {0} is not used: {1}; delete it, or run `demitasse tune` again",
                        own,
                        e);
            }
        }
        return shipped(gpu);
    }

    /** What came with the kernels. */
    private static KernelChoice shipped(Driver.Gpu gpu) {
        try (InputStream in = KernelChoice.class.getResourceAsStream("selection.tsv")) {
            byte[] table = Objects.requireNonNull(in, "selection.tsv").readAllBytes();
            return new KernelChoice(parse(new String(table, StandardCharsets.UTF_8), gpu));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The lines of a table that are of such a GPU. */
    static List<Line> parse(String table, Driver.Gpu gpu) {
        List<String> texts = table.lines().toList();
        if (texts.isEmpty() || !texts.getFirst().equals(HEADER)) {
            throw new IllegalArgumentException("its first line is not \"" + HEADER.replace('\t', ' ') + "\"");
        }
        List<Line> lines = new ArrayList<>();
        for (String text : texts.subList(1, texts.size())) {
            Line line = Line.parse(text);
            if (line.capability == gpu.number() && line.multiprocessors == gpu.multiprocessors()) {
                lines.add(line);
            }
        }
        return lines;
    }

    private static Path folder() {
        return CacheFolder.path().resolve("tune");
    }

    /** Where measurements of a GPU are kept, by its driver and these kernels. */
    static Path file(Driver.Gpu gpu) {
        String card = gpu.name().toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
        String name =
                String.format("cuda-%s-%d-%016x.tsv", card, Driver.version().number(), KernelModules.fingerprint());
        return folder().resolve(name);
    }
}
