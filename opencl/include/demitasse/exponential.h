// The exponential of numbers that are not positive, with the same bits in every vector: what the device's own `exp`
// does not promise. Macro QUERIES, numbers of a vector: 1, 4, 8 or 16.
#include "kernel.h"

#if QUERIES == 1
typedef float Many;
#define MANY_INTS convert_int
#define MANY_FLOATS as_float
#else
typedef JOIN(float, QUERIES) Many;
#define MANY_INTS JOIN(convert_int, QUERIES)
#define MANY_FLOATS JOIN(as_float, QUERIES)
#endif

// exp(x) for x <= 0 or NaN, within 2 units in the last place; 0 below -87. 2^n times a polynomial of the rest, whose
// coefficients are those of Cephes' expf (Moshier, 1984).
Many exponential(Many x) {
    const Many n = rint(x * 1.44269504f);
    const Many r = fma(n, (Many)2.12194440e-4f, fma(n, (Many)-0.693359375f, x));
    Many p = fma((Many)1.9875691500e-4f, r, (Many)1.3981999507e-3f);
    p = fma(p, r, (Many)8.3334519073e-3f);
    p = fma(p, r, (Many)4.1665795894e-2f);
    p = fma(p, r, (Many)1.6666665459e-1f);
    p = fma(p, r, (Many)5.0000001201e-1f);
    p = fma(p * r, r, r) + 1;
    const Many scale = MANY_FLOATS((MANY_INTS(fmax(n, (Many)-127)) + 127) << 23);
    return x < -87.0f ? (Many)0 : p * scale;
}

// What was added with `before` as the largest exponent counts this much with `now`.
Many correction(Many before, Many now) { return before == now ? (Many)1 : exponential(before - now); }
