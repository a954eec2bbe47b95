package dev.demitasse.vector;

import static dev.demitasse.vector.Lanes.BYTES;

import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.quant.WeightLayout;

/** One panel of integer weights by a block of rows: unpacks a few groups at a time, and runs the tiles over them. */
final class IntegerTiles {
    /** Activation rows of a tile. */
    static final int ROWS = 4;

    private static final int STEP_BYTES = IntegerFold.PARTS * 16 * 64;
    /** Bytes of scratch. */
    static final int SCRATCH_BYTES = STEP_BYTES + IntegerFold.SCRATCH_BYTES + UnpackLevels.SCRATCH_BYTES;

    private IntegerTiles() {}

    /**
     * Computes a panel by rows {@code row … row + rows - 1} of {@code x}; {@code rows} is a multiple of 4.
     *
     * @param scratch {@link #SCRATCH_BYTES}
     * @param out receives rows × 16 FP32 results
     */
    static void panel(PackedMatrix matrix, int panel, IntegerRows x, int row, int rows, long scratch, long out) {
        IntegerFold fold = new IntegerFold(matrix, panel);
        boolean int4 = matrix.layout().element() == WeightLayout.Element.INT4;
        int length = IntegerFold.per16(matrix) ? 8 : 16;
        int parts = IntegerFold.parts(matrix, x);
        long sums = scratch + STEP_BYTES;
        Lanes.clear(out, rows * 64 / BYTES);
        for (int first = 0; first < parts; first += IntegerFold.PARTS) {
            int count = Math.min(IntegerFold.PARTS, parts - first);
            if (int4) {
                GemmInt4.unpack(matrix, panel, first, count, scratch);
            } else {
                long weights = UnpackLevels.parts(matrix, panel, first, count, sums + IntegerFold.SCRATCH_BYTES);
                GemmInt8.unpack(weights, count * length * 2 * PackedMatrix.PANEL, scratch);
            }
            for (int r = 0; r < rows; r += ROWS) {
                long words = x.words(row + r) + (long) first * length * 4;
                for (int v = 0; v < 64 / BYTES; v += 2) {
                    boolean pairs =
                            sums(matrix, scratch + (long) v * BYTES, words, x.wordStride(), length, count, sums);
                    long target = out + r * 64L + (long) v * BYTES;
                    fold.foldFour(sums, pairs, first, count, 1, v, x, row + r, target);
                    fold.foldFour(sums + BYTES, pairs, first, count, 1, v + 1, x, row + r, target + BYTES);
                }
            }
        }
    }

    /** Two vectors' sums; whether they are pairs of 16-bit integers. */
    private static boolean sums(
            PackedMatrix matrix, long steps, long words, long stride, int length, int count, long sums) {
        if (matrix.maximumMagnitude() <= GemmInt8.TINY) {
            GemmInt4.sums(steps, words, stride, length, 4, count, sums);
            return true;
        }
        for (int u = 0; u < 2; u++) {
            long vector = steps + (long) u * BYTES;
            if (matrix.maximumMagnitude() <= GemvInt8.SMALL) {
                GemmInt8.sums(vector, words, stride, length, 8, count, sums + (long) u * BYTES);
            } else {
                GemmInt8.wideSums(vector, words, stride, length, count, sums + (long) u * BYTES);
            }
        }
        return false;
    }
}
