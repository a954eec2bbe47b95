// Computes: pairs (a, b) of a head become (a c - b s, a s + b c), c and s the cosine and sine of the row's angle
//           (rope.h).
// Layout:   x rows x heads x head_dim FP32, in place; angles [row][pair] (cosine, sine).
// Requires: an even rope_dim of at most head_dim.
// Accuracy: FP32, no fused multiply-add: the bits of kv_append, which does the same where it follows.
// Launch:   an item a pair, work-groups of 256.
// Moves:    8 bytes read and 8 written a pair; the angles come from the cache.
// Why:      bound by the launch.
#include "rope.h"

typedef struct RopeArgs {
    long x;
    long rows;
    long heads;
    long head_dim;
    RopeAngles angles;
} RopeArgs;

KERNEL(ELEMENT_ITEMS) rope(global uchar* x, global const uchar* angles, const RopeArgs a) {
    const long pairs = a.angles.rope_dim / 2;
    const long i = (long)get_global_id(0);
    if (i < a.rows * a.heads * pairs) {
        const long head = i / pairs;  // of all rows
        rotate_pair(a.angles, angles, WRITE(float, x, a.x) + head * a.head_dim, head / a.heads, i % pairs);
    }
}
