package dev.demitasse.quantize;

import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.device.LinearObserver;
import dev.demitasse.exception.NumericalException;
import dev.demitasse.gguf.Gguf;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Runs a calibration text through a model, and sums the squares of what each matrix is multiplied by. */
public final class Calibration {
    /** Sums of squares of each column, and rows seen, of the matrices of one tensor. */
    private record Sums(double[][] squares, int[] rows) {
        Sums(int matrices, int columns) {
            this(new double[matrices][columns], new int[matrices]);
        }

        void add(int matrix, float[] x, int count) {
            double[] sum = squares[matrix];
            for (int r = 0; r < count; r++) {
                for (int c = 0; c < sum.length; c++) {
                    double v = x[r * sum.length + c];
                    sum[c] += v * v;
                }
            }
            rows[matrix] += count;
        }

        ImportanceMatrix.Entry entry(String tensor) {
            int columns = squares[0].length;
            float[] values = new float[squares.length * columns];
            float[] counts = new float[squares.length];
            for (int m = 0; m < squares.length; m++) {
                counts[m] = rows[m];
                for (int c = 0; c < columns; c++) {
                    float value = (float) squares[m][c];
                    if (!Float.isFinite(value)) {
                        throw new NumericalException(
                                "Inputs of \"" + tensor + "\" are not finite in column " + c + ".");
                    }
                    values[m * columns + c] = value;
                }
            }
            return new ImportanceMatrix.Entry(values, counts);
        }
    }

    private Calibration() {}

    /**
     * Collects an importance matrix. The output matrix is left out, as llama-imatrix does by default; each expert of a
     * mixture has its own numbers, of the rows that were routed to it.
     *
     * @param model a GGUF file, best of 16 bits
     * @param options how the model is loaded; its context length is set to {@code window}
     * @param text some thousand tokens of what the model will be used for
     * @param textName what the text is called in the file
     * @param window tokens that are run together
     * @param progress hears how many windows are done
     * @return the importance matrix
     * @throws dev.demitasse.exception.UnsupportedModelException where the model is an encoder, which predicts no tokens
     */
    public static ImportanceMatrix collect(
            Path model, ModelOptions options, String text, String textName, int window, WindowListener progress) {
        Map<String, Sums> sums = new TreeMap<>();
        LinearObserver observer = (matrix, x, rows, columns) -> sums.computeIfAbsent(
                        matrix.tensor(), name -> new Sums(matrix.count(), columns))
                .add(matrix.index(), x, rows);
        try (Gguf file = Gguf.open(model);
                Model loaded = Model.load(file, options.withContextLength(window), observer)) {
            List<int[]> windows = Windows.of(loaded, text, window);
            for (int w = 0; w < windows.size(); w++) {
                loaded.evaluate(windows.get(w), window, (position, logits) -> {});
                progress.ran(w + 1, windows.size());
            }
            Map<String, ImportanceMatrix.Entry> entries = new TreeMap<>();
            sums.forEach((name, sum) -> entries.put(name, sum.entry(name)));
            return new ImportanceMatrix(entries, List.of(textName), windows.size(), window);
        }
    }
}
