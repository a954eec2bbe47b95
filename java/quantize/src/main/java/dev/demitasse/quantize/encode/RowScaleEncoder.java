package dev.demitasse.quantize.encode;

import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;

/**
 * Q8_0 whose blocks of a row all have the same scale, {@code max|x| / 127} of the row: what a device that wants one
 * scale a row takes over without rounding again.
 */
final class RowScaleEncoder implements RowEncoder {
    private static final int LARGEST = 127;

    private final int columns;
    private final byte[] codes = new byte[TensorType.Q8_0.blockElements()];

    RowScaleEncoder(int columns) {
        this.columns = columns;
    }

    @Override
    public void encode(float[] x, float[] w, int count, MemorySegment out, long at) {
        long target = at;
        for (int row = 0; row < count; row += columns) {
            float largest = 0;
            for (int i = row; i < row + columns; i++) {
                largest = Math.max(largest, Math.abs(x[i]));
            }
            float scale = RowEncoder.scale(largest / LARGEST, TensorType.Q8_0);
            for (int block = row; block < row + columns; block += codes.length) {
                for (int i = 0; i < codes.length; i++) {
                    float code = scale == 0 ? 0 : (float) Math.rint(x[block + i] / scale);
                    codes[i] = (byte) Math.clamp(code, -LARGEST, LARGEST);
                }
                BlockPacking.q8_0(codes, 0, scale, out, target);
                target += TensorType.Q8_0.blockBytes();
            }
        }
    }
}
