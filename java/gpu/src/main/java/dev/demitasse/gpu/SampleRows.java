package dev.demitasse.gpu;

import dev.demitasse.sampling.Draw;
import java.util.List;

/** The structure {@code SampleRow} of the kernel {@code sample}: what a row's token is drawn by, in 32-bit words. */
public final class SampleRows {
    /** Words of a row: temperature, top-p and min-p as FP32, top-k, seed and number in two each, the low one first. */
    public static final int INTS = 8;

    private SampleRows() {}

    /** The words of all rows. */
    static int[] of(List<Draw> draws) {
        int[] ints = new int[draws.size() * INTS];
        int at = 0;
        for (Draw draw : draws) {
            ints[at++] = Float.floatToRawIntBits(draw.temperature());
            ints[at++] = Float.floatToRawIntBits(draw.topP());
            ints[at++] = Float.floatToRawIntBits(draw.minP());
            ints[at++] = draw.topK();
            ints[at++] = (int) draw.seed();
            ints[at++] = (int) (draw.seed() >>> Integer.SIZE);
            ints[at++] = (int) draw.number();
            ints[at++] = (int) (draw.number() >>> Integer.SIZE);
        }
        return ints;
    }
}
