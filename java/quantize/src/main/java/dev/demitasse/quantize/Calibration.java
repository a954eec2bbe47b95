package dev.demitasse.quantize;

import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.ModelShape;
import dev.demitasse.device.LinearObserver;
import dev.demitasse.exception.NumericalException;
import dev.demitasse.gguf.Gguf;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Runs a calibration text through a model, and sums the squares of what each matrix is multiplied by. */
public final class Calibration {
    private static final class Sums implements LinearObserver {
        private final Map<String, double[]> sums = new TreeMap<>();
        private final Map<String, Integer> rowsOf = new TreeMap<>();

        @Override
        public void observe(String weight, float[] x, int rows, int columns) {
            double[] sum = sums.computeIfAbsent(weight, name -> new double[columns]);
            for (int r = 0; r < rows; r++) {
                for (int c = 0; c < columns; c++) {
                    double v = x[r * columns + c];
                    sum[c] += v * v;
                }
            }
            rowsOf.merge(weight, rows, Integer::sum);
        }

        Map<String, ImportanceMatrix.Entry> entries() {
            Map<String, ImportanceMatrix.Entry> entries = new TreeMap<>();
            sums.forEach((name, sum) -> {
                float[] values = new float[sum.length];
                for (int c = 0; c < sum.length; c++) {
                    values[c] = (float) sum[c];
                    if (!Float.isFinite(values[c])) {
                        throw new NumericalException("Inputs of \"" + name + "\" are not finite in column " + c + ".");
                    }
                }
                entries.put(name, new ImportanceMatrix.Entry(values, new float[] {rowsOf.getOrDefault(name, 0)}));
            });
            return entries;
        }
    }

    private Calibration() {}

    /**
     * Collects an importance matrix. The output matrix is left out, as llama-imatrix does by default.
     *
     * @param model a GGUF file, best of 16 bits
     * @param options how the model is loaded; its context length is set to {@code window}
     * @param text some thousand tokens of what the model will be used for
     * @param textName what the text is called in the file
     * @param window tokens that are run together
     * @param progress hears how many windows are done
     * @return the importance matrix
     */
    public static ImportanceMatrix collect(
            Path model, ModelOptions options, String text, String textName, int window, WindowListener progress) {
        Sums sums = new Sums();
        try (Gguf file = Gguf.open(model)) {
            ModelShape.of(file); // refuses a mixture: an entry for all experts together is no importance matrix
            try (Model loaded = Model.load(file, options.withContextLength(window), sums)) {
                List<int[]> windows = Windows.of(loaded, text, window);
                for (int w = 0; w < windows.size(); w++) {
                    loaded.evaluate(windows.get(w), window, (position, logits) -> {});
                    progress.ran(w + 1, windows.size());
                }
                return new ImportanceMatrix(sums.entries(), List.of(textName), windows.size(), window);
            }
        }
    }
}
