// Where results of linear go, and as what.
#include "kernel.h"

enum OutputType { OUTPUT_F32, OUTPUT_F16, OUTPUT_BF16 };

// FP32 to BF16, nearest, ties to even; NaN stays NaN.
ushort float_to_bf16(float value) {
    const uint bits = as_uint(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return 0x7FFF;
    }
    return (ushort)((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
}

float bf16_to_float(ushort bits) { return as_float((uint)bits << 16); }

// Number `at` of what begins at `offset`, FP32 or rounded to 16 bits, nearest, ties to even.
void store_output(global uchar* memory, long offset, long type, long at, float value) {
    if (type == OUTPUT_F32) {
        WRITE(float, memory, offset)[at] = value;
    } else if (type == OUTPUT_F16) {
        vstore_half_rte(value, (size_t)at, WRITE(half, memory, offset));
    } else {
        WRITE(ushort, memory, offset)[at] = float_to_bf16(value);
    }
}
