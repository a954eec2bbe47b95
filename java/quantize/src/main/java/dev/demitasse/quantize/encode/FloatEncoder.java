package dev.demitasse.quantize.encode;

import dev.demitasse.exception.UsageException;
import dev.demitasse.quant.Bf16;
import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** F32, F16 and BF16: rounded to nearest, ties to even. */
final class FloatEncoder implements RowEncoder {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final TensorType type;

    FloatEncoder(TensorType type) {
        this.type = type;
    }

    @Override
    public void encode(float[] x, float[] w, int count, MemorySegment out, long at) {
        if (type == TensorType.F32) {
            MemorySegment.copy(x, 0, out, FLOAT, at, count);
            return;
        }
        for (int i = 0; i < count; i++) {
            short bits = type == TensorType.F16 ? Float.floatToFloat16(x[i]) : Bf16.nearest(x[i]);
            boolean infinite = type == TensorType.F16 ? (bits & 0x7FFF) == 0x7C00 : (bits & 0x7FFF) == 0x7F80;
            if (infinite) {
                throw new UsageException(
                        "A weight of " + x[i] + " is beyond what " + type + " holds; choose another type for it.");
            }
            out.set(SHORT, at + 2L * i, bits);
        }
    }
}
