package dev.demitasse.quantize;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quantize.encode.RowEncoder;
import dev.demitasse.quantize.source.ModelSource;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/** Encodes tensors in pieces of rows on several threads, and hands the bytes on in order. */
final class TensorEncoder implements AutoCloseable {
    private static final int PIECE_ELEMENTS = 1 << 17;
    private static final float LEAST_WEIGHT = 1e-6f;
    /** Larger numbers would overflow what encoders sum up. */
    private static final float MOST = 1e9f;

    private final QuantizeOptions options;
    private final ExecutorService threads;
    private final List<ModelSource.Tensor> tensors;
    private final List<TensorType> types;
    private final Deque<Future<Piece>> running = new ArrayDeque<>();
    private int tensorIndex;
    private int beginTensor;
    private long beginRow;
    private float @Nullable [] beginImportance;

    /** Takes bytes in the order of the tensor. */
    @FunctionalInterface
    interface Sink {
        void write(ByteBuffer bytes) throws IOException;
    }

    private record Piece(byte[] bytes, double error, double square, float largest) {}

    /** For tensors and the types that they are to have, from the {@code first} on. */
    TensorEncoder(List<ModelSource.Tensor> tensors, List<TensorType> types, int first, QuantizeOptions options) {
        this.tensors = tensors;
        this.types = types;
        this.tensorIndex = first;
        this.beginTensor = first;
        this.options = options;
        this.threads = Executors.newFixedThreadPool(
                options.threads(),
                Thread.ofPlatform().daemon().name("quantize-", 0).factory());
    }

    static TensorSummary summary(ModelSource.Tensor tensor, TensorType type, double error, double outliers) {
        long bytes = type.rowBytes(tensor.columns()) * tensor.rows();
        return new TensorSummary(
                tensor.name(), tensor.rows() * tensor.columns(), tensor.type(), type, bytes, error, outliers);
    }

    /**
     * Encodes tensors from the first on, one a call; one that keeps its type is taken over as it is. Pieces of the next
     * tensors are begun meanwhile.
     */
    TensorSummary next(Sink sink) throws IOException {
        ModelSource.Tensor tensor = tensors.get(tensorIndex);
        double error = 0;
        double square = 0;
        float largest = 0;
        for (long row = 0; row < tensor.rows(); row += rowsAtOnce(tensor)) {
            begin();
            Piece piece = await(running.remove());
            sink.write(ByteBuffer.wrap(piece.bytes));
            error += piece.error;
            square += piece.square;
            largest = Math.max(largest, piece.largest);
        }
        long elements = tensor.rows() * tensor.columns();
        return summary(
                tensor,
                types.get(tensorIndex++),
                square > 0 ? Math.sqrt(error / square) : 0,
                square > 0 ? largest / Math.sqrt(square / elements) : 0);
    }

    /** Keeps the threads busy, and no more pieces in memory than that takes. */
    private void begin() {
        while (running.size() < 2 * options.threads() + 1 && beginTensor < tensors.size()) {
            ModelSource.Tensor tensor = tensors.get(beginTensor);
            TensorType type = types.get(beginTensor);
            boolean same = type == tensor.type() && !(options.mix().rowScales() && type == TensorType.Q8_0);
            MemorySegment kept = same ? tensor.bytes() : null;
            if (beginRow == 0) {
                beginImportance = importance(tensor);
            }
            float[] importance = beginImportance;
            long first = beginRow;
            int count = (int) Math.min(rowsAtOnce(tensor), tensor.rows() - first);
            RowEncoder encoder = options.mix().rowScales() && type == TensorType.Q8_0
                    ? RowEncoder.ofRows(tensor.columns())
                    : RowEncoder.of(type);
            running.add(threads.submit(() -> piece(tensor, type, encoder, kept, importance, first, count)));
            beginRow += count;
            if (beginRow == tensor.rows()) {
                beginRow = 0;
                beginTensor++;
            }
        }
    }

    private static long rowsAtOnce(ModelSource.Tensor tensor) {
        return Math.max(1, PIECE_ELEMENTS / tensor.columns());
    }

    private float @Nullable [] importance(ModelSource.Tensor tensor) {
        ImportanceMatrix matrix = options.importance();
        float[] importance = matrix == null ? null : matrix.meanSquares(tensor.name());
        Smoothing smoothing = options.smoothing();
        float[] factors = smoothing == null ? null : smoothing.columns(tensor.name());
        if (importance == null || factors == null) {
            return importance;
        }
        float[] divided = importance.clone(); // what the channels were scaled by, and then calibrated
        for (int i = 0; i < divided.length; i++) {
            float factor = factors[i % factors.length];
            divided[i] /= factor * factor;
        }
        return divided;
    }

    private static Piece await(Future<Piece> piece) {
        try {
            return piece.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new QuantizeException("Quantizing was interrupted.", e);
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case RuntimeException cause -> throw cause;
                case Error cause -> throw cause;
                case null, default -> throw new IllegalStateException(e);
            }
        }
    }

    private static Piece piece(
            ModelSource.Tensor tensor,
            TensorType type,
            RowEncoder encoder,
            @Nullable MemorySegment kept,
            float @Nullable [] importance,
            long first,
            int count) {
        int columns = tensor.columns();
        float[] x = new float[count * columns];
        float[] row = new float[columns];
        double[] squares = new double[count];
        float[] magnitudes = new float[count];
        double square = 0;
        float largest = 0;
        for (int r = 0; r < count; r++) {
            tensor.read(first + r, row);
            squares[r] = squares(row, tensor, first + r);
            magnitudes[r] = largest(row, 0, columns);
            square += squares[r];
            largest = Math.max(largest, magnitudes[r]);
            System.arraycopy(row, 0, x, r * columns, columns);
        }
        byte[] bytes = new byte[Math.toIntExact(type.rowBytes(columns) * count)];
        MemorySegment out = MemorySegment.ofArray(bytes);
        if (kept != null) {
            MemorySegment.copy(kept, first * type.rowBytes(columns), out, 0, bytes.length);
            return new Piece(bytes, 0, square, largest);
        }
        if (type.layout().element().quantized() && largest > MOST) {
            throw new UsageException("Tensor \"" + tensor.name() + "\" has a weight of " + largest + "; " + type
                    + " is encoded for weights to " + MOST + ".");
        }
        float[] w = importance == null
                ? magnitudes(x, columns, squares, magnitudes)
                : importance(importance, tensor, first, count);
        try {
            encoder.encode(x, w, x.length, out, 0);
        } catch (UsageException e) {
            throw new UsageException(
                    "Tensor \"" + tensor.name() + "\", row " + first + " or later: " + e.getMessage(), e);
        }
        return new Piece(bytes, error(new MatrixSource(tensor.name(), type, count, columns, out), x), square, largest);
    }

    /**
     * What an element's squared error counts without calibration: {@code rms + |x|} of its row. Measured against its
     * neighbors (a factor of {@code sqrt(rms^2 + x^2)} or {@code x^2} more or less): divergence was least.
     */
    private static float[] magnitudes(float[] x, int columns, double[] squares, float[] largest) {
        float[] w = new float[x.length];
        for (int at = 0; at < x.length; at += columns) {
            float rms = (float) Math.sqrt(squares[at / columns] / columns);
            for (int i = at; i < at + columns; i++) {
                w[i] = rms + Math.abs(x[i]);
            }
            normalize(w, at, columns, rms + largest[at / columns]);
        }
        return w;
    }

    /** The same with calibration: the mean square of its inputs, which is what the error of the product is made of. */
    private static float[] importance(float[] importance, ModelSource.Tensor tensor, long first, int count) {
        int columns = tensor.columns();
        float[] w = new float[count * columns];
        int matrices = importance.length / columns;
        long rowsOfMatrix = Math.max(1, tensor.rows() / matrices);
        for (int r = 0; r < count; r++) {
            int matrix = (int) Math.min(matrices - 1, (first + r) / rowsOfMatrix);
            System.arraycopy(importance, matrix * columns, w, r * columns, columns);
            normalize(w, r * columns, columns, largest(importance, matrix * columns, columns));
        }
        return w;
    }

    /** The largest weight of a row becomes one, and none is nothing: a group of zeros alone would not be encoded. */
    private static void normalize(float[] w, int at, int columns, float largest) {
        if (!(largest > 0) || largest == Float.POSITIVE_INFINITY) {
            Arrays.fill(w, at, at + columns, 1);
            return;
        }
        for (int i = at; i < at + columns; i++) {
            w[i] = Math.max(LEAST_WEIGHT, w[i] / largest);
        }
    }

    /** The sum of a row's squares, which is finite: no square of a float is beyond a double. */
    private static double squares(float[] row, ModelSource.Tensor tensor, long number) {
        double square = squares(row);
        for (int i = 0; i < row.length && !Double.isFinite(square); i++) {
            if (!Float.isFinite(row[i])) {
                throw new ModelFormatException("Tensor \"" + tensor.name() + "\" has " + row[i] + " in row " + number
                        + "; the file is damaged.");
            }
        }
        return square;
    }

    /** Four sums side by side, since each addition waits for the one before. */
    private static double squares(float[] row) {
        double first = 0;
        double second = 0;
        double third = 0;
        double fourth = 0;
        int i = 0;
        for (; i + 3 < row.length; i += 4) {
            first += (double) row[i] * row[i];
            second += (double) row[i + 1] * row[i + 1];
            third += (double) row[i + 2] * row[i + 2];
            fourth += (double) row[i + 3] * row[i + 3];
        }
        for (; i < row.length; i++) {
            first += (double) row[i] * row[i];
        }
        return first + second + third + fourth;
    }

    private static float largest(float[] x, int at, int columns) {
        float largest = 0;
        for (int i = at; i < at + columns; i++) {
            largest = Math.max(largest, Math.abs(x[i]));
        }
        return largest;
    }

    /** The sum of squared differences between what was encoded and what a reader decodes. */
    private static double error(MatrixSource encoded, float[] x) {
        float[] row = new float[encoded.columns()];
        double sum = 0;
        for (int r = 0; r < encoded.rows(); r++) {
            encoded.dequantizeRow(r, row);
            for (int c = 0; c < row.length; c++) {
                row[c] -= x[r * row.length + c];
            }
            sum += squares(row);
        }
        return sum;
    }

    @Override
    public void close() {
        threads.shutdownNow();
    }
}
