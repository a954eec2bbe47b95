// Computes: pairs (a, b) of a head become (a c - b s, a s + b c), c and s the cosine and sine of the row's angle
//           (rope.cuh).
// Layout:   x rows x heads x head_dim FP32, in place; angles [row][pair] (cosine, sine).
// Requires: an even rope_dim of at most head_dim.
// Accuracy: FP32, no fused multiply-add: the bits of kv_append, which does the same where it follows.
// Launch:   a thread a pair, blocks of 256.
// Moves:    8 bytes read and 8 written a pair; the angles come from the cache.
// Why:      bound by the launch; positions stay on the device, so that a graph does not depend on them.
#include "demitasse/rope.cuh"

namespace demitasse {

struct RopeArgs {
    float* x;
    int64_t rows;
    int64_t heads;
    int64_t head_dim;
    RopeAngles angles;
};

}  // namespace demitasse

KERNEL(demitasse::ELEMENT_THREADS) rope(const demitasse::RopeArgs a) {
    demitasse::follow_previous();
    const int64_t pairs = a.angles.rope_dim / 2;
    const int64_t i = demitasse::thread_index();
    if (i < a.rows * a.heads * pairs) {
        const int64_t head = i / pairs;  // of all rows
        a.angles.apply(a.x + head * a.head_dim, head / a.heads, i % pairs);
    }
}
EXPORT(rope)
