package dev.demitasse.reference;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.ScanShape;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Operations with a state for each sequence, row after row in FP64; states are FP32, as everywhere. */
final class ReferenceStates {
    private ReferenceStates() {}

    static void convolve(
            MemorySegment x,
            MemorySegment weight,
            @Nullable MemorySegment bias,
            int channels,
            int kernel,
            boolean silu,
            MemorySegment state,
            BatchRows rows,
            MemorySegment out) {
        int kept = kernel - 1;
        for (int row = 0; row < rows.count(); row++) {
            long slot = (long) rows.pages()[row][0] * kept * channels;
            for (int c = 0; c < channels; c++) {
                float current = x.getAtIndex(JAVA_FLOAT, (long) row * channels + c);
                double sum = bias == null ? 0 : bias.getAtIndex(JAVA_FLOAT, c);
                sum += (double) weight.getAtIndex(JAVA_FLOAT, (long) kept * channels + c) * current;
                for (int k = 0; k < kept; k++) {
                    long at = slot + (long) k * channels + c;
                    float before = rows.positions()[row] == 0 ? 0 : state.getAtIndex(JAVA_FLOAT, at);
                    sum += (double) weight.getAtIndex(JAVA_FLOAT, (long) k * channels + c) * before;
                    if (k > 0) {
                        state.setAtIndex(JAVA_FLOAT, at - channels, before);
                    }
                }
                state.setAtIndex(JAVA_FLOAT, slot + (kept - 1L) * channels + c, current);
                double value = silu ? sum / (1 + Math.exp(-sum)) : sum;
                out.setAtIndex(JAVA_FLOAT, (long) row * channels + c, (float) value);
            }
        }
    }

    static void deltaRule(
            MemorySegment x,
            MemorySegment b,
            MemorySegment a,
            MemorySegment bias,
            MemorySegment rate,
            DeltaShape shape,
            MemorySegment state,
            BatchRows rows,
            MemorySegment out) {
        int dim = shape.headDim();
        for (int row = 0; row < rows.count(); row++) {
            for (int head = 0; head < shape.heads(); head++) {
                long of = (long) row * shape.columns();
                long key = of + (long) shape.keyHead(head) * dim;
                double[] q = normalized(x, key, dim, shape.epsilon());
                double[] k = normalized(x, key + (long) shape.keyHeads() * dim, dim, shape.epsilon());
                long v = of + (2L * shape.keyHeads() + head) * dim;
                long gate = (long) row * shape.heads() + head;
                double beta = 1 / (1 + Math.exp(-b.getAtIndex(JAVA_FLOAT, gate)));
                double step = (double) a.getAtIndex(JAVA_FLOAT, gate) + bias.getAtIndex(JAVA_FLOAT, head);
                double decay = Math.exp(rate.getAtIndex(JAVA_FLOAT, head) * softplus(step));
                long matrix = ((long) rows.pages()[row][0] * shape.heads() + head) * dim * dim;
                for (int column = 0; column < dim; column++) {
                    double[] s = new double[dim];
                    double seen = 0;
                    for (int i = 0; i < dim; i++) {
                        long at = matrix + (long) i * dim + column;
                        s[i] = decay * (rows.positions()[row] == 0 ? 0 : state.getAtIndex(JAVA_FLOAT, at));
                        seen += k[i] * s[i];
                    }
                    double change = beta * (x.getAtIndex(JAVA_FLOAT, v + column) - seen);
                    double sum = 0;
                    for (int i = 0; i < dim; i++) {
                        s[i] += k[i] * change;
                        sum += q[i] * s[i];
                        state.setAtIndex(JAVA_FLOAT, matrix + (long) i * dim + column, (float) s[i]);
                    }
                    long target = ((long) row * shape.heads() + head) * dim + column;
                    out.setAtIndex(JAVA_FLOAT, target, (float) (sum / Math.sqrt(dim)));
                }
            }
        }
    }

    static void selectiveScan(
            MemorySegment x,
            MemorySegment steps,
            MemorySegment bias,
            MemorySegment rate,
            MemorySegment skip,
            ScanShape shape,
            MemorySegment state,
            BatchRows rows,
            MemorySegment out) {
        int dim = shape.headDim();
        int states = shape.stateDim();
        for (int row = 0; row < rows.count(); row++) {
            long of = (long) row * shape.columns();
            for (int head = 0; head < shape.heads(); head++) {
                long values = of + (long) head * dim;
                long b = of + shape.values() + (long) shape.group(head) * states;
                long c = b + (long) shape.groups() * states;
                long at = (long) row * shape.heads() + head;
                double step = softplus((double) steps.getAtIndex(JAVA_FLOAT, at) + bias.getAtIndex(JAVA_FLOAT, head));
                double decay = Math.exp(rate.getAtIndex(JAVA_FLOAT, head) * step);
                long matrix = ((long) rows.pages()[row][0] * shape.heads() + head) * states * dim;
                for (int column = 0; column < dim; column++) {
                    double value = x.getAtIndex(JAVA_FLOAT, values + column);
                    double sum = skip.getAtIndex(JAVA_FLOAT, head) * value;
                    for (int i = 0; i < states; i++) {
                        long place = matrix + (long) i * dim + column;
                        double before = rows.positions()[row] == 0 ? 0 : state.getAtIndex(JAVA_FLOAT, place);
                        double after = decay * before + x.getAtIndex(JAVA_FLOAT, b + i) * (step * value);
                        state.setAtIndex(JAVA_FLOAT, place, (float) after);
                        sum += x.getAtIndex(JAVA_FLOAT, c + i) * after;
                    }
                    out.setAtIndex(JAVA_FLOAT, at * dim + column, (float) sum);
                }
            }
        }
    }

    private static double[] normalized(MemorySegment x, long at, int dim, float epsilon) {
        double[] values = new double[dim];
        double squares = epsilon;
        for (int i = 0; i < dim; i++) {
            values[i] = x.getAtIndex(JAVA_FLOAT, at + i);
            squares += values[i] * values[i];
        }
        for (int i = 0; i < dim; i++) {
            values[i] /= Math.sqrt(squares);
        }
        return values;
    }

    /** ln(1 + exp(x)), which is x where exp(x) is beyond FP64. */
    private static double softplus(double x) {
        return x > 30 ? x : Math.log1p(Math.exp(x));
    }
}
