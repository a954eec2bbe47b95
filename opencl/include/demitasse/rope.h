// Rotary position embedding (Su et al., "RoFormer", 2021) of the heads of a row.
#include "kernel.h"

typedef struct RopeAngles {
    long rope_dim;     // elements of a head that are rotated
    long interleaved;  // 1: pairs (2 i, 2 i + 1); 0: (i, i + rope_dim / 2)
    long angles;       // [row][pair] (cosine, sine)
} RopeAngles;

// The pair (a, b) of a head becomes (a c - b s, a s + b c).
void rotate_pair(RopeAngles a, global const uchar* angles, global float* head, long row, long pair) {
    const long pairs = a.rope_dim / 2;
    global const float* angle = READ(float, angles, a.angles) + row * a.rope_dim + 2 * pair;
    global float* x = head + (a.interleaved != 0 ? 2 * pair : pair);
    const long distance = a.interleaved != 0 ? 1 : pairs;
    const float first = x[0];
    const float second = x[distance];
    x[0] = first * angle[0] - second * angle[1];
    x[distance] = first * angle[1] + second * angle[0];
}
