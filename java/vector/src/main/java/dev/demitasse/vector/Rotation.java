package dev.demitasse.vector;

import dev.demitasse.quant.Hadamard;
import java.lang.foreign.MemorySegment;

/**
 * Computes: a run of n numbers becomes {@code H x / sqrt(n)}, {@code H[i][k] = (-1)^popcount(i & k)}: the fast Walsh
 * transform.
 *
 * <p>Layout: FP32, in place.
 *
 * <p>Requires: n a power of two.
 *
 * <p>Accuracy: FP32, log2(n) sums and a product a number.
 *
 * <p>Launch: part of a block of runs.
 *
 * <p>Moves: 8 bytes a number; log2(n) operations a number.
 *
 * <p>Why: in an array, whose loops the compiler vectorizes where a stride is long enough.
 */
final class Rotation {
    private Rotation() {}

    /** Rotates the numbers at an address; {@code run} has room for them, and is as long. */
    static void rotate(long at, float[] run) {
        int n = run.length;
        MemorySegment.copy(Lanes.MEMORY, Lanes.FLOAT, at, run, 0, n);
        Hadamard.rotate(run, 0, n);
        MemorySegment.copy(run, 0, Lanes.MEMORY, Lanes.FLOAT, at, n);
    }
}
