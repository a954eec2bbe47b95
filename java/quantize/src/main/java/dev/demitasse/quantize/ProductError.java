package dev.demitasse.quantize;

import dev.demitasse.quant.RotatedColumns;
import java.util.List;

/** The error of a product of some rows and some outputs whose operands are rounded. */
final class ProductError {
    private final OperandRounding rounding;
    private final float[][] inputs;
    private final List<float[]> outputs;
    private final double[][] exact;
    private final double square;

    ProductError(OperandRounding rounding, float[][] inputs, List<float[]> outputs) {
        this.rounding = rounding;
        this.inputs = inputs;
        this.outputs = outputs;
        this.exact = products(inputs, outputs);
        double sum = 0;
        for (double[] row : exact) {
            for (double value : row) {
                sum += value * value;
            }
        }
        square = sum;
    }

    /**
     * The root of the squared error beside the squared product, where inputs are divided and outputs multiplied.
     *
     * @param rotated whether both are rotated after that
     */
    double of(float[] factors, boolean rotated) {
        float[][] divided = new float[inputs.length][];
        for (int r = 0; r < divided.length; r++) {
            divided[r] = rounding.input(scaled(inputs[r], factors, true, rotated));
        }
        List<float[]> multiplied = outputs.stream()
                .map(output -> rounding.output(scaled(output, factors, false, rotated), factors))
                .toList();
        double[][] rounded = products(divided, multiplied);
        double sum = 0;
        for (int r = 0; r < rounded.length; r++) {
            for (int o = 0; o < rounded[r].length; o++) {
                double difference = rounded[r][o] - exact[r][o];
                sum += difference * difference;
            }
        }
        return square > 0 ? Math.sqrt(sum / square) : 0;
    }

    private static float[] scaled(float[] values, float[] factors, boolean divide, boolean rotated) {
        float[] out = new float[values.length];
        for (int c = 0; c < out.length; c++) {
            out[c] = divide ? values[c] / factors[c] : values[c] * factors[c];
        }
        if (rotated) {
            RotatedColumns.rotate(out, out.length);
        }
        return out;
    }

    private static double[][] products(float[][] inputs, List<float[]> outputs) {
        double[][] products = new double[inputs.length][outputs.size()];
        for (int r = 0; r < inputs.length; r++) {
            for (int o = 0; o < outputs.size(); o++) {
                float[] output = outputs.get(o);
                float sum = 0;
                for (int c = 0; c < output.length; c++) {
                    sum += inputs[r][c] * output[c];
                }
                products[r][o] = sum;
            }
        }
        return products;
    }
}
