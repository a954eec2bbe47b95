package dev.demitasse.quantize.source;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.kv.KvType;
import dev.demitasse.kv.ScaledElements;
import dev.demitasse.safetensors.ElementType;
import dev.demitasse.safetensors.SafetensorsTensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** A matrix or vector of a checkpoint, read row by row as FP32. */
interface Rows {
    /** Outputs; 1 for a vector. */
    long count();

    /** Elements of a row. */
    int columns();

    /** Reads a row. */
    void read(long row, float[] out);

    /** Numbers that are stored as they are, in any order. */
    record Numbers(SafetensorsTensor tensor, long count, int columns) implements Rows {
        private static final ValueLayout.OfFloat FLOAT =
                ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfShort SHORT =
                ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfLong LONG =
                ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final ValueLayout.OfDouble DOUBLE =
                ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
        private static final int MOST_COLUMNS = 1 << 24;

        /** A tensor of one or two dimensions. */
        static Numbers of(SafetensorsTensor tensor) {
            int dimensions = tensor.shape().size();
            if (dimensions < 1 || dimensions > 2 || tensor.shape().contains(0L)) {
                throw new ModelFormatException("Tensor \"" + tensor.name() + "\" has the shape " + tensor.shape()
                        + "; vectors and matrices are read.");
            }
            long columns = tensor.shape().get(dimensions - 1);
            long rows = dimensions == 1 ? 1 : tensor.shape().getFirst();
            if (columns > MOST_COLUMNS || rows > Integer.MAX_VALUE) {
                throw new UnsupportedModelException("Tensor \"" + tensor.name() + "\" is " + rows + " × " + columns
                        + "; rows of " + MOST_COLUMNS + " elements are the longest that are read.");
            }
            switch (tensor.type()) {
                case F64, F32, F16, BF16, F8_E4M3, I8, U8, I32, I64 -> {}
                default ->
                    throw new UnsupportedModelException(
                            "Tensor \"" + tensor.name() + "\" holds " + tensor.type() + ", which is not read.");
            }
            return new Numbers(tensor, rows, (int) columns);
        }

        @Override
        public void read(long row, float[] out) {
            for (int c = 0; c < columns; c++) {
                out[c] = at(row, c);
            }
        }

        /** One number. */
        float at(long row, long column) {
            long i = row * columns + column;
            MemorySegment data = tensor.data();
            return switch (tensor.type()) {
                case F64 -> (float) data.get(DOUBLE, i * 8);
                case F32 -> data.get(FLOAT, i * 4);
                case F16 -> Float.float16ToFloat(data.get(SHORT, i * 2));
                case BF16 -> Float.intBitsToFloat(data.get(SHORT, i * 2) << 16);
                case F8_E4M3 -> ScaledElements.value(KvType.FP8, data.get(ValueLayout.JAVA_BYTE, i));
                case I8 -> data.get(ValueLayout.JAVA_BYTE, i);
                case U8 -> data.get(ValueLayout.JAVA_BYTE, i) & 0xFF;
                case I64 -> data.get(LONG, i * 8);
                default -> data.get(INT, i * 4);
            };
        }

        /** The word of integers at a place. */
        int word(long row, long column) {
            return tensor.data().get(INT, (row * columns + column) * 4);
        }

        /** Itself, where it has that shape and, unless null, those elements. */
        Numbers require(long wantedRows, long wantedColumns) {
            if (count != wantedRows || columns != wantedColumns) {
                throw new ModelFormatException("Tensor \"" + tensor.name() + "\" is " + count + " × " + columns
                        + "; the tensors beside it ask for " + wantedRows + " × " + wantedColumns + ".");
            }
            return this;
        }

        /** Itself, where it holds words of 32 bits. */
        Numbers requireWords() {
            if (tensor.type() != ElementType.I32) {
                throw new ModelFormatException(
                        "Tensor \"" + tensor.name() + "\" holds " + tensor.type() + " instead of I32.");
            }
            return this;
        }
    }

    /** Reads a row. */
    @FunctionalInterface
    interface Reader {
        void read(long row, float[] out);
    }

    /** Rows that are computed of others. */
    record Computed(long count, int columns, Reader reader) implements Rows {
        @Override
        public void read(long row, float[] out) {
            reader.read(row, out);
        }
    }

    /** Rows of the halves of each head in turns, as GGUF files of Llama's family have queries and keys. */
    static Rows interleaved(Rows rows, int headDim) {
        return new Computed(rows.count(), rows.columns(), (row, out) -> rows.read(half(row, headDim), out));
    }

    /** The same order in a vector. */
    static Rows interleavedVector(Rows rows, int headDim) {
        return new Computed(rows.count(), rows.columns(), (row, out) -> {
            float[] stored = new float[rows.columns()];
            rows.read(row, stored);
            for (int i = 0; i < stored.length; i++) {
                out[i] = stored[(int) half(i, headDim)];
            }
        });
    }

    /** Where a checkpoint has what interleaving puts at {@code place}. */
    private static long half(long place, int headDim) {
        long within = place % headDim;
        return place - within + within % 2 * (headDim / 2) + within / 2;
    }

    /** All elements and one: weights of norms that multiply by {@code 1 + w}. */
    static Rows plusOne(Rows rows) {
        return new Computed(rows.count(), rows.columns(), (row, out) -> {
            rows.read(row, out);
            for (int i = 0; i < rows.columns(); i++) {
                out[i] += 1;
            }
        });
    }

    /** A vector that is computed. */
    record Values(float[] values) implements Rows {
        @Override
        public long count() {
            return 1;
        }

        @Override
        public int columns() {
            return values.length;
        }

        @Override
        public void read(long row, float[] out) {
            System.arraycopy(values, 0, out, 0, values.length);
        }
    }
}
