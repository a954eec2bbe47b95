package dev.demitasse.quantize;

import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quantize.encode.RowEncoder;
import java.lang.foreign.MemorySegment;

/** How the operands of a product are rounded: what they stand for afterwards. */
interface OperandRounding {
    /** A row of activations, divided by factors already; it may be changed. */
    float[] input(float[] x);

    /** An output's weights, multiplied by {@code factors} already; they may be changed. */
    float[] output(float[] weights, float[] factors);

    /** Both to INT8 with a scale a row. */
    static OperandRounding ofRows() {
        return new OperandRounding() {
            @Override
            public float[] input(float[] x) {
                return toInt8(x);
            }

            @Override
            public float[] output(float[] weights, float[] factors) {
                return toInt8(weights);
            }
        };
    }

    /**
     * Weights alone, to blocks of a type, as they will be encoded.
     *
     * @param meanSquares of the activations of each column, before factors
     */
    static OperandRounding ofWeights(TensorType type, float[] meanSquares) {
        RowEncoder encoder = RowEncoder.of(type);
        MemorySegment blocks = MemorySegment.ofArray(new byte[Math.toIntExact(type.rowBytes(meanSquares.length))]);
        return new OperandRounding() {
            @Override
            public float[] input(float[] x) {
                return x;
            }

            @Override
            public float[] output(float[] weights, float[] factors) {
                float[] costs = new float[weights.length];
                for (int c = 0; c < costs.length; c++) {
                    costs[c] = Math.max(Float.MIN_NORMAL, meanSquares[c] / (factors[c] * factors[c]));
                }
                encoder.encode(weights, costs, weights.length, blocks, 0);
                new MatrixSource("", type, 1, weights.length, blocks).dequantizeRow(0, weights);
                return weights;
            }
        };
    }

    private static float[] toInt8(float[] x) {
        float largest = 0;
        for (float value : x) {
            largest = Math.max(largest, Math.abs(value));
        }
        float scale = largest / 127;
        for (int c = 0; scale > 0 && c < x.length; c++) {
            x[c] = (float) Math.rint(x[c] / scale) * scale;
        }
        return x;
    }
}
