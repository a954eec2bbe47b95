// Sums of products of signed bytes, exact, by what the device has for it.
#include "kernel.h"

#if defined(INTEGER_DOT_PRODUCT)

int dot16(uint4 a, uint4 b) {
    return dot_4x8packed_ss_int(a.x, b.x) + dot_4x8packed_ss_int(a.y, b.y) + dot_4x8packed_ss_int(a.z, b.z) +
           dot_4x8packed_ss_int(a.w, b.w);
}
int dot32(uint4 a, uint4 b, uint4 c, uint4 d) { return dot16(a, b) + dot16(c, d); }

#else

int sum_of(short16 x) {
    const int8 a = convert_int8(x.lo) + convert_int8(x.hi);
    const int4 b = a.lo + a.hi;
    const int2 c = b.lo + b.hi;
    return c.x + c.y;
}
short16 products_of(uint4 a, uint4 b) { return convert_short16(as_char16(a)) * convert_short16(as_char16(b)); }

int dot16(uint4 a, uint4 b) { return sum_of(products_of(a, b)); }
// Two products of bytes, of which one is not -128, fit 16 bits.
int dot32(uint4 a, uint4 b, uint4 c, uint4 d) { return sum_of(products_of(a, b) + products_of(c, d)); }

#endif
