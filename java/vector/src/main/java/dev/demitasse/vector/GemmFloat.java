package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.BYTES;
import static dev.demitasse.vector.Lanes.floats;
import static dev.demitasse.vector.Lanes.spread;
import static dev.demitasse.vector.Lanes.store;

import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.quant.LevelTable;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Computes: {@code out[n] = sum_k w[n][k] x[k]} for the 16 rows n of a panel and one or four rows of FP32 activations.
 * A row of activations that is not finite gives NaN.
 *
 * <p>Layout: weights {@code [k][16 rows]} of FP32 read in place; FP16, BF16 and integers are unpacked to it first, 256
 * columns at a time, which stay in the first-level cache.
 *
 * <p>Requires: nothing.
 *
 * <p>Accuracy: one FP32 sum an output, fused multiply-add in the order of k; so the same bits for one row and for four.
 *
 * <p>Launch: one task a panel (GEMV) or a block of panels and rows (GEMM); a tile is 16 × 4 in 8 sums.
 *
 * <p>Moves: the weights once; one FMA for 8 products.
 *
 * <p>Why: 8 independent sums are what two FMA pipes with a latency of four cycles need; one row alone is bound by
 * memory before it is bound by latency.
 */
final class GemmFloat {
    /** Activation rows of a tile. */
    static final int ROWS = 4;
    /** Columns that are unpacked at a time. */
    static final int COLUMNS = 256;
    /** Bytes of scratch for them. */
    static final int SCRATCH_BYTES = COLUMNS * PackedMatrix.PANEL * Float.BYTES;

    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

    private GemmFloat() {}

    /**
     * One panel by {@code rows} (1 or 4) rows at {@code x}, {@code stride} bytes apart.
     *
     * @param scratch {@link #SCRATCH_BYTES}
     * @param out receives rows × 16 FP32 results
     */
    static void panel(PackedMatrix matrix, int panel, long x, long stride, int rows, long scratch, long out) {
        FloatVector none = FloatVector.zero(Lanes.FLOATS);
        for (long at = 0; at < rows * 64L; at += BYTES) {
            store(none, out + at);
        }
        int columns = matrix.columns();
        for (int from = 0; from < columns; from += COLUMNS) {
            int count = Math.min(COLUMNS, columns - from);
            long weights = unpack(matrix, panel, from, count, scratch);
            for (int v = 0; v < 64 / BYTES; v += 2) {
                long offset = (long) v * BYTES;
                if (rows == 1) {
                    row(weights + offset, count, x + from * 4L, out + offset);
                } else {
                    tile(weights + offset, count, x + from * 4L, stride, out + offset);
                }
            }
        }
        for (int r = 0; r < rows; r++) {
            // An infinity in x makes every sum infinite or NaN, so that rows need no look unless a sum is.
            if (!allFinite(out + r * 64L, PackedMatrix.PANEL) && !allFinite(x + r * stride, columns)) {
                for (int n = 0; n < PackedMatrix.PANEL; n++) {
                    Lanes.set(out + r * 64L + n * 4L, Float.NaN);
                }
            }
        }
    }

    private static boolean allFinite(long x, int count) {
        FloatVector sum = FloatVector.zero(Lanes.FLOATS);
        int full = count / Lanes.WIDTH * Lanes.WIDTH;
        for (int i = 0; i < full; i += Lanes.WIDTH) {
            sum = sum.add(floats(x + i * 4L).mul(0f)); // 0, or NaN
        }
        float rest = Lanes.sum(sum);
        for (int i = full; i < count; i++) {
            rest += Lanes.get(x + i * 4L) * 0;
        }
        return rest == 0;
    }

    private static void row(long w, int count, long x, long out) {
        FloatVector s0 = floats(out);
        FloatVector s1 = floats(out + BYTES);
        for (int k = 0; k < count; k++) {
            FloatVector a = spread(x + k * 4L);
            s0 = floats(w + k * 64L).fma(a, s0);
            s1 = floats(w + k * 64L + BYTES).fma(a, s1);
        }
        store(s0, out);
        store(s1, out + BYTES);
    }

    private static void tile(long w, int count, long x, long stride, long out) {
        FloatVector s00 = floats(out);
        FloatVector s01 = floats(out + BYTES);
        FloatVector s10 = floats(out + 64);
        FloatVector s11 = floats(out + 64 + BYTES);
        FloatVector s20 = floats(out + 128);
        FloatVector s21 = floats(out + 128 + BYTES);
        FloatVector s30 = floats(out + 192);
        FloatVector s31 = floats(out + 192 + BYTES);
        for (int k = 0; k < count; k++) {
            FloatVector w0 = floats(w + k * 64L);
            FloatVector w1 = floats(w + k * 64L + BYTES);
            FloatVector a = spread(x + k * 4L);
            s00 = w0.fma(a, s00);
            s01 = w1.fma(a, s01);
            a = spread(x + stride + k * 4L);
            s10 = w0.fma(a, s10);
            s11 = w1.fma(a, s11);
            a = spread(x + 2 * stride + k * 4L);
            s20 = w0.fma(a, s20);
            s21 = w1.fma(a, s21);
            a = spread(x + 3 * stride + k * 4L);
            s30 = w0.fma(a, s30);
            s31 = w1.fma(a, s31);
        }
        store(s00, out);
        store(s01, out + BYTES);
        store(s10, out + 64);
        store(s11, out + 64 + BYTES);
        store(s20, out + 128);
        store(s21, out + 128 + BYTES);
        store(s30, out + 192);
        store(s31, out + 192 + BYTES);
    }

    /** The address of {@code count} columns from {@code from} on as FP32: in place, or unpacked to {@code scratch}. */
    private static long unpack(PackedMatrix matrix, int panel, int from, int count, long scratch) {
        long base = matrix.quants().address() + panel * matrix.panelBytes();
        switch (matrix.layout().element()) {
            case F32 -> {
                return base + from * 64L;
            }
            case F16 -> {
                for (long i = 0; i < count * 16L; i += Lanes.WIDTH) {
                    store(Lanes.fp16(base + from * 32L + i * 2), scratch + i * 4);
                }
            }
            case BF16 -> {
                for (long i = 0; i < count * 16L; i += Lanes.WIDTH) {
                    store(Lanes.bf16(base + from * 32L + i * 2), scratch + i * 4);
                }
            }
            default -> unpackIntegers(matrix, panel, from, count, scratch);
        }
        return scratch;
    }

    private static void unpackIntegers(PackedMatrix matrix, int panel, int from, int count, long scratch) {
        long base = matrix.quants().address() + panel * matrix.panelBytes();
        boolean int8 = matrix.panelBytes() == 16L * matrix.paddedColumns();
        LevelTable table = matrix.element().table();
        int zero = matrix.layout().zero();
        for (int k = from; k < from + count; k++) {
            long group = ((long) panel * matrix.groups() + k / matrix.group()) * 64;
            for (int r = 0; r < 16; r++) {
                int q;
                if (int8) {
                    q = Lanes.MEMORY.get(BYTE, base + k / 4 * 64L + r * 4L + k % 4);
                } else {
                    int pair = Lanes.MEMORY.get(BYTE, base + k / 8 * 64L + r * 4L + k % 4);
                    q = (k & 4) == 0 ? pair & 15 : pair >> 4 & 15;
                    q = table == null ? q : table.level(q);
                }
                float value = Lanes.get(matrix.scales().address() + group + r * 4L) * (q - zero);
                float min = matrix.layout().minimum() ? Lanes.get(matrix.mins().address() + group + r * 4L) : 0;
                Lanes.set(scratch + ((k - from) * 16L + r) * 4, value + min);
            }
        }
    }
}
