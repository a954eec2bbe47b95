package dev.demitasse.reference;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.GroupedProjection;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.MatrixGroup;
import dev.demitasse.device.OutputType;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.device.ScanShape;
import dev.demitasse.device.ScanWeights;
import dev.demitasse.kv.KvShape;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Every operation written the way its definition reads: scalar, one thread, sums in FP64 and results rounded once to
 * FP32. It is what the other devices are measured against.
 */
final class ReferenceDevice implements Device {
    private static final int GROUP = 32;

    private final ActivationType activations;

    ReferenceDevice(DeviceOptions options) {
        ActivationType wanted = options.activations();
        this.activations = wanted == null ? ActivationType.F32 : wanted;
    }

    @Override
    public String name() {
        return "reference";
    }

    @Override
    public String description() {
        return "plain Java, 1 thread";
    }

    @Override
    public int threads() {
        return 1;
    }

    @Override
    public ActivationType activations() {
        return activations;
    }

    @Override
    public Buffer allocate(long bytes) {
        return new ReferenceBuffer(HostMemory.allocate(bytes));
    }

    @Override
    public LinearWeight upload(MatrixSource source, WeightLayout layout) {
        return new ReferenceWeight(source, layout);
    }

    @Override
    public KvStore allocateKv(KvShape shape) {
        return new ReferenceKvStore(shape);
    }

    @Override
    public void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        ReferenceWeight matrix = (ReferenceWeight) table;
        float[] row = new float[matrix.columns()];
        MemorySegment target = floats(out);
        for (int i = 0; i < rows; i++) {
            matrix.values(ids[i], row);
            for (int c = 0; c < row.length; c++) {
                target.setAtIndex(JAVA_FLOAT, (long) i * row.length + c, row[c] * scale);
            }
        }
    }

    @Override
    public void gatherRows(Buffer x, int columns, int[] rows, Buffer out, int first) {
        MemorySegment target = floats(out);
        long bytes = (long) columns * Float.BYTES;
        for (int i = 0; i < rows.length; i++) {
            MemorySegment source = floats(x);
            MemorySegment.copy(source, rows[i] * bytes, target, (first + i) * bytes, bytes);
        }
    }

    @Override
    public void rmsNorm(Buffer x, Buffer weight, int groups, int rows, int columns, float epsilon, Buffer out) {
        MemorySegment in = floats(x);
        MemorySegment w = floats(weight);
        MemorySegment target = floats(out);
        for (int row = 0; row < rows; row++) {
            long at = (long) row * columns;
            double sum = 0;
            for (int c = 0; c < columns; c++) {
                double value = in.getAtIndex(JAVA_FLOAT, at + c);
                sum += value * value;
            }
            boolean overflows = Float.isInfinite((float) sum);
            double factor = overflows ? Double.NaN : 1 / Math.sqrt(sum / columns + epsilon);
            for (int c = 0; c < columns; c++) {
                double own = w.getAtIndex(JAVA_FLOAT, (long) (row % groups) * columns + c);
                double value = in.getAtIndex(JAVA_FLOAT, at + c) * factor * own;
                target.setAtIndex(JAVA_FLOAT, at + c, (float) value);
            }
        }
    }

    @Override
    public void layerNorm(
            Buffer x, Buffer weight, @Nullable Buffer bias, int rows, int columns, float epsilon, Buffer out) {
        MemorySegment in = floats(x);
        MemorySegment weights = floats(weight);
        MemorySegment target = floats(out);
        for (int row = 0; row < rows; row++) {
            long first = (long) row * columns;
            double sum = 0;
            for (int i = 0; i < columns; i++) {
                sum += in.getAtIndex(JAVA_FLOAT, first + i);
            }
            double mean = sum / columns;
            double squares = 0;
            for (int i = 0; i < columns; i++) {
                double distance = in.getAtIndex(JAVA_FLOAT, first + i) - mean;
                squares += distance * distance;
            }
            boolean representable = Math.abs(sum) <= Float.MAX_VALUE && squares <= Float.MAX_VALUE;
            double factor = representable ? 1 / Math.sqrt(squares / columns + epsilon) : Double.NaN;
            for (int i = 0; i < columns; i++) {
                double normed = (in.getAtIndex(JAVA_FLOAT, first + i) - mean) * factor;
                double shift = bias == null ? 0 : floats(bias).getAtIndex(JAVA_FLOAT, i);
                target.setAtIndex(JAVA_FLOAT, first + i, (float) (normed * weights.getAtIndex(JAVA_FLOAT, i) + shift));
            }
        }
    }

    @Override
    public void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        MemorySegment in = floats(x);
        MemorySegment integers = ((ReferenceBuffer) q).segment();
        MemorySegment groupScales = floats(scales);
        byte[] group = new byte[GROUP];
        for (long g = 0; g < (long) rows * columns / GROUP; g++) {
            float[] values =
                    in.asSlice(g * GROUP * Float.BYTES, GROUP * Float.BYTES).toArray(JAVA_FLOAT);
            groupScales.setAtIndex(JAVA_FLOAT, g, quantizeGroup(values, 0, GROUP, group, 0));
            MemorySegment.copy(group, 0, integers, JAVA_BYTE, g * GROUP, GROUP);
        }
    }

    /** Rounds {@code x[from .. to)} to {@code q} from {@code at} on; returns the scale. */
    private static float quantizeGroup(float[] x, int from, int to, byte[] q, int at) {
        float largest = 0;
        for (int i = from; i < to; i++) {
            largest = Math.max(largest, Math.abs(x[i])); // NaN where one is
        }
        float inverse = 127 / largest;
        boolean counts = Float.isFinite(largest) && Float.isFinite(inverse);
        for (int i = from; i < to; i++) {
            q[at + i - from] = counts ? (byte) Math.rint(x[i] * inverse) : 0;
        }
        return Float.isFinite(largest) ? counts ? largest / 127 : 0 : Float.NaN;
    }

    @Override
    public void linear(Buffer x, int rows, Projection... projections) {
        for (Projection projection : projections) {
            linear(floats(x), rows, projection, ((ReferenceBuffer) projection.out()).segment());
        }
    }

    @Override
    public void groupedLinear(Buffer x, int[] starts, GroupedProjection... projections) {
        for (int g = 0; g + 1 < starts.length; g++) {
            for (Projection own : MatrixGroup.projections(g, projections)) {
                long from = (long) starts[g] * own.weight().columns() * Float.BYTES;
                long to = (long) starts[g] * own.weight().rows() * Float.BYTES;
                linear(
                        floats(x).asSlice(from),
                        starts[g + 1] - starts[g],
                        own,
                        floats(own.out()).asSlice(to));
            }
        }
    }

    private void linear(MemorySegment in, int rows, Projection projection, MemorySegment out) {
        ReferenceWeight matrix = (ReferenceWeight) projection.weight();
        Buffer biasBuffer = projection.bias();
        MemorySegment bias = biasBuffer == null ? null : floats(biasBuffer);
        float[][] input = new float[rows][];
        for (int row = 0; row < rows; row++) {
            long bytes = (long) matrix.columns() * Float.BYTES;
            input[row] = in.asSlice(row * bytes, bytes).toArray(JAVA_FLOAT);
            propagateNan(input[row]);
        }
        boolean integers = activations.integers() && matrix.layout().element().quantized();
        IntegerRows quantized =
                integers ? new IntegerRows(input, matrix, activations == ActivationType.INT8_ROW) : null;
        float[] weights = new float[matrix.columns()];
        for (int n = 0; n < matrix.rows(); n++) {
            double offset = bias == null ? 0 : bias.getAtIndex(JAVA_FLOAT, n);
            if (quantized != null) {
                quantized.loadWeights(n);
            } else {
                matrix.values(n, weights);
            }
            for (int row = 0; row < rows; row++) {
                double sum = quantized != null ? quantized.dot(row) : dot(input[row], weights);
                store(projection.type(), out, (long) row * matrix.rows() + n, (float) (sum + offset));
            }
        }
    }

    /** A row with an element that is not finite becomes NaN. */
    private static void propagateNan(float[] row) {
        for (float x : row) {
            if (!Float.isFinite(x)) {
                Arrays.fill(row, Float.NaN);
                return;
            }
        }
    }

    private static void store(OutputType type, MemorySegment out, long index, float value) {
        if (type == OutputType.F32) {
            out.setAtIndex(JAVA_FLOAT, index, value);
        } else {
            out.setAtIndex(JAVA_SHORT, index, type.narrow(value));
        }
    }

    private static double dot(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < b.length; i++) {
            sum += (double) a[i] * b[i];
        }
        return sum;
    }

    /** Activations rounded to INT8 in groups of 32 or whole rows, met with one row of integer weights at a time. */
    private static final class IntegerRows {
        private final ReferenceWeight matrix;
        private final byte[][] q;
        private final float[][] scales;
        private final byte[] weights;
        private int output;

        IntegerRows(float[][] input, ReferenceWeight matrix, boolean perRow) {
            this.matrix = matrix;
            int columns = matrix.columns();
            this.q = new byte[input.length][columns];
            this.scales = new float[input.length][(columns + GROUP - 1) / GROUP];
            for (int row = 0; row < input.length; row++) {
                if (perRow) {
                    Arrays.fill(scales[row], quantizeGroup(input[row], 0, columns, q[row], 0));
                    continue;
                }
                for (int from = 0; from < columns; from += GROUP) {
                    int to = Math.min(columns, from + GROUP);
                    scales[row][from / GROUP] = quantizeGroup(input[row], from, to, q[row], from);
                }
            }
            this.weights = new byte[columns];
        }

        void loadWeights(int n) {
            output = n;
            matrix.integers(n, weights);
        }

        double dot(int row) {
            double sum = 0;
            int run = Math.min(GROUP, matrix.group());
            int zero = matrix.layout().zero();
            for (int from = 0; from < weights.length; from += run) {
                int products = 0;
                int inputs = 0;
                for (int k = from; k < Math.min(weights.length, from + run); k++) {
                    products += (weights[k] - zero) * q[row][k];
                    inputs += q[row][k];
                }
                int g = from / matrix.group();
                double value =
                        (double) matrix.scale(output, g) * products + (double) matrix.minimum(output, g) * inputs;
                sum += value * scales[row][from / GROUP];
            }
            return sum;
        }
    }

    @Override
    public void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        MemorySegment values = floats(x);
        MemorySegment table = floats(angles);
        int pairs = ropeDim / 2;
        for (int row = 0; row < rows; row++) {
            for (int head = 0; head < heads; head++) {
                long at = ((long) row * heads + head) * headDim;
                for (int i = 0; i < pairs; i++) {
                    double cosine = table.getAtIndex(JAVA_FLOAT, (long) row * ropeDim + 2 * i);
                    double sine = table.getAtIndex(JAVA_FLOAT, (long) row * ropeDim + 2 * i + 1);
                    long first = kind == Rope.INTERLEAVED ? at + 2 * i : at + i;
                    long second = kind == Rope.INTERLEAVED ? first + 1 : first + pairs;
                    double a = values.getAtIndex(JAVA_FLOAT, first);
                    double b = values.getAtIndex(JAVA_FLOAT, second);
                    values.setAtIndex(JAVA_FLOAT, first, (float) (a * cosine - b * sine));
                    values.setAtIndex(JAVA_FLOAT, second, (float) (a * sine + b * cosine));
                }
            }
        }
    }

    @Override
    public void rotate(Buffer x, int rows, int heads, int headDim) {
        MemorySegment values = floats(x);
        int n = Integer.lowestOneBit(headDim);
        double[] run = new double[n];
        for (long at = 0; at < (long) rows * heads * headDim; at += n) {
            for (int i = 0; i < n; i++) {
                run[i] = values.getAtIndex(JAVA_FLOAT, at + i);
            }
            for (int i = 0; i < n; i++) {
                double sum = 0;
                for (int k = 0; k < n; k++) {
                    sum += Integer.bitCount(i & k) % 2 == 0 ? run[k] : -run[k];
                }
                values.setAtIndex(JAVA_FLOAT, at + i, (float) (sum / Math.sqrt(n)));
            }
        }
    }

    @Override
    public void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        ReferenceKvStore store = (ReferenceKvStore) kv;
        store.append(layer, floats(keys), floats(values), rows);
    }

    @Override
    public void attention(
            Buffer q, KvStore kv, int layer, AttentionShape shape, @Nullable Buffer sinks, BatchRows rows, Buffer out) {
        ReferenceKvStore store = (ReferenceKvStore) kv;
        long width = (long) shape.heads() * shape.headDim();
        int[] ends = rows.ends();
        MemorySegment queries = floats(q);
        MemorySegment target = floats(out);
        for (int row = 0; row < rows.count(); row++) {
            for (int head = 0; head < shape.heads(); head++) {
                attend(
                        queries,
                        target,
                        row * width + (long) head * shape.headDim(),
                        store,
                        layer,
                        shape,
                        sinks == null ? Double.NEGATIVE_INFINITY : floats(sinks).getAtIndex(JAVA_FLOAT, head),
                        rows,
                        ends[row],
                        row,
                        head);
            }
        }
    }

    private static void attend(
            MemorySegment queries,
            MemorySegment target,
            long at,
            ReferenceKvStore store,
            int layer,
            AttentionShape shape,
            double sink,
            BatchRows rows,
            int end,
            int row,
            int head) {
        int kvHead = head / (shape.heads() / shape.kvHeads());
        int last = shape.lastSeen(rows.positions()[row], end);
        int first = shape.firstSeen(rows.positions()[row]);
        int[] pages = rows.pages()[row];
        double[] weights = new double[last - first + 1];
        double largest = Double.NEGATIVE_INFINITY;
        for (int p = first; p <= last; p++) {
            double score = 0;
            for (int d = 0; d < shape.headDim(); d++) {
                score += (double) queries.getAtIndex(JAVA_FLOAT, at + d) * store.key(layer, pages, p, kvHead, d);
            }
            score *= shape.scale();
            if (shape.softCap() != 0) {
                score = shape.softCap() * Math.tanh(score / shape.softCap());
            }
            weights[p - first] = score;
            largest = Math.max(largest, score);
        }
        double sum = Math.exp(sink - largest);
        for (int i = 0; i < weights.length; i++) {
            weights[i] = Math.exp(weights[i] - largest);
            sum += weights[i];
        }
        for (int d = 0; d < shape.headDim(); d++) {
            double value = 0;
            for (int p = first; p <= last; p++) {
                value += weights[p - first] * store.value(layer, pages, p, kvHead, d);
            }
            target.setAtIndex(JAVA_FLOAT, at + d, (float) (value / sum));
        }
    }

    @Override
    public void convolve(
            Buffer x,
            Buffer weight,
            @Nullable Buffer bias,
            int channels,
            int kernel,
            boolean silu,
            Buffer state,
            BatchRows rows,
            Buffer out) {
        MemorySegment shift = bias == null ? null : floats(bias);
        ReferenceStates.convolve(
                floats(x), floats(weight), shift, channels, kernel, silu, floats(state), rows, floats(out));
    }

    @Override
    public void deltaRule(
            Buffer x,
            Buffer b,
            Buffer a,
            Buffer bias,
            Buffer rate,
            DeltaShape shape,
            Buffer state,
            BatchRows rows,
            Buffer out) {
        ReferenceStates.deltaRule(
                floats(x), floats(b), floats(a), floats(bias), floats(rate), shape, floats(state), rows, floats(out));
    }

    @Override
    public void selectiveScan(
            Buffer x, Buffer steps, ScanWeights weights, ScanShape shape, Buffer state, BatchRows rows, Buffer out) {
        ReferenceStates.selectiveScan(
                floats(x),
                floats(steps),
                floats(weights.bias()),
                floats(weights.rate()),
                floats(weights.skip()),
                shape,
                floats(state),
                rows,
                floats(out));
    }

    private static double normal(double x) {
        return 0.5 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
    }

    @Override
    public void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        MemorySegment gates = floats(g);
        MemorySegment ups = floats(up);
        MemorySegment target = floats(out);
        for (long i = 0; i < count; i++) {
            double x = gates.getAtIndex(JAVA_FLOAT, i);
            double gated = ups.getAtIndex(JAVA_FLOAT, i);
            double activated = switch (gate) {
                case SILU -> x / (1 + Math.exp(-x));
                case GELU -> x * normal(x);
                case SIGMOID -> 1 / (1 + Math.exp(-x));
                case IDENTITY -> x;
                case RELU -> Math.max(x, 0);
                case NORMAL_CDF -> normal(x);
                case CLAMPED_SWISH -> {
                    double most = Math.min(x, 7);
                    gated = Math.clamp(gated, -7.0, 7.0) + 1;
                    yield most / (1 + Math.exp(-1.702 * most));
                }
            };
            target.setAtIndex(JAVA_FLOAT, i, (float) (activated * gated));
        }
    }

    @Override
    public void add(Buffer x, Buffer y, long count) {
        MemorySegment target = floats(x);
        MemorySegment addend = floats(y);
        for (long i = 0; i < count; i++) {
            target.setAtIndex(JAVA_FLOAT, i, target.getAtIndex(JAVA_FLOAT, i) + addend.getAtIndex(JAVA_FLOAT, i));
        }
    }

    @Override
    public void scale(Buffer x, long count, float factor) {
        MemorySegment values = floats(x);
        for (long i = 0; i < count; i++) {
            values.setAtIndex(JAVA_FLOAT, i, factor * values.getAtIndex(JAVA_FLOAT, i));
        }
    }

    @Override
    public void softCap(Buffer x, long count, float cap) {
        MemorySegment values = floats(x);
        for (long i = 0; i < count; i++) {
            values.setAtIndex(JAVA_FLOAT, i, (float) (cap * Math.tanh(values.getAtIndex(JAVA_FLOAT, i) / cap)));
        }
    }

    @Override
    public void close() {}

    private static MemorySegment floats(Buffer buffer) {
        return ((ReferenceBuffer) buffer).segment();
    }
}
