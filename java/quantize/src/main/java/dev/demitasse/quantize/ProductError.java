package dev.demitasse.quantize;

import java.util.List;

/** The error of a product of some rows and some outputs whose operands are rounded to INT8 with a scale a row. */
final class ProductError {
    private static final int LARGEST = 127;

    private final float[][] inputs;
    private final List<float[]> outputs;
    private final double[][] exact;
    private final double square;

    ProductError(float[][] inputs, List<float[]> outputs) {
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

    /** The root of the squared error beside the squared product, where inputs are divided and outputs multiplied. */
    double of(float[] factors) {
        float[][] divided = new float[inputs.length][];
        for (int r = 0; r < divided.length; r++) {
            divided[r] = rounded(inputs[r], factors, true);
        }
        List<float[]> multiplied =
                outputs.stream().map(output -> rounded(output, factors, false)).toList();
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

    private static float[] rounded(float[] values, float[] factors, boolean divide) {
        float[] out = new float[values.length];
        float largest = 0;
        for (int c = 0; c < out.length; c++) {
            out[c] = divide ? values[c] / factors[c] : values[c] * factors[c];
            largest = Math.max(largest, Math.abs(out[c]));
        }
        float scale = largest / LARGEST;
        for (int c = 0; scale > 0 && c < out.length; c++) {
            out[c] = (float) Math.rint(out[c] / scale) * scale;
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
