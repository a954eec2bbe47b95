// Computes: the `used` experts of each row with the highest scores, of equals the first, and their weights.
// Layout:   logits rows x experts FP32; bias and scales one an expert, or null; experts.cuh.
// Requires: MOST_EXPERTS experts and MOST_CHOSEN of them at most; `groups` divides the experts.
// Accuracy: FP32, sums in a fixed order: a row has the same bits in any number of rows. Experts whose scores are as
//           near as FP32 rounds may be chosen in another order than in FP64. Logits of which one is not finite give NaN
//           weights.
// Launch:   a warp a row. One row alone is also put in order; order_routes does that for more.
// Moves:    4 bytes a logit; 8 bytes are written a choice.
// Why:      bound by latency: `used` rounds, in which a lane looks at its experts in shared memory and a warp finds the
//           highest. Not run on a GPU yet.
#include "demitasse/experts.cuh"

namespace demitasse {

// What becomes of logits: softmax over all, the logistic function, softmax over the chosen.
enum class Score : int64_t { SOFTMAX, SIGMOID, SOFTMAX_OF_CHOSEN };

struct RouteArgs {
    const float* logits;
    int64_t experts;
    Score score;
    int64_t normalized;  // 1: weights are divided by their sum
    Real scale;          // multiplies weights after that
    int64_t groups;      // of neighboring experts
    int64_t used_groups;
    const float* bias;    // added to scores where experts are chosen
    const float* scales;  // multiply weights in the end
    int64_t alone;        // 1: the only row, which is put in order
    int32_t* ids;         // [row][used]
    float* weights;       // [row][used]
    RouteOrder order;
};

constexpr float LEAST_SUM = 6.103515625e-05f;  // that weights are divided by: 2^-14

// Numbers in their order as integers above 0; NaN as negative infinity.
DEVICE uint32_t rank_of(float x) {
    const uint32_t bits = __float_as_uint(x != x ? -INFINITY : x + 0.0f);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

struct Candidate {
    uint32_t rank;
    int index;

    // The higher of two, of equals the first.
    DEVICE void take(uint32_t other, int other_index) {
        if (other > rank || (other == rank && other_index < index)) {
            rank = other;
            index = other_index;
        }
    }
};

// The highest of `count` ranks, which becomes 0; one of them is above that.
DEVICE int take_highest(uint32_t* ranks, int count) {
    Candidate best = {0, count};
    for (int i = lane(); i < count; i += 32) {
        best.take(ranks[i], i);
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        const uint32_t rank = __shfl_xor_sync(ALL_LANES, best.rank, distance);
        best.take(rank, __shfl_xor_sync(ALL_LANES, best.index, distance));
    }
    if (lane() == 0) {
        ranks[best.index] = 0;
    }
    __syncwarp();
    return best.index;
}

// A warp's row, in shared memory.
struct Routed {
    float scores[MOST_EXPERTS];
    uint32_t ranks[MOST_EXPERTS];  // of those that may be chosen; 0 of others
    uint32_t group_ranks[MOST_EXPERTS];
    uint32_t chosen[MOST_EXPERTS / 32];  // a bit an expert
    int experts[MOST_CHOSEN];            // the chosen, in the order of their numbers
    float weights[MOST_CHOSEN];
};

// Scores and ranks; whether all logits are finite.
DEVICE bool score(const RouteArgs& a, const float* logits, Routed& s) {
    float largest = -INFINITY;
    bool finite = true;
    for (int e = lane(); e < a.experts; e += 32) {
        largest = fmaxf(largest, logits[e]);
        finite = finite && is_finite(logits[e]);
    }
    largest = warp_max(largest);
    float sum = 0;
    for (int e = lane(); e < a.experts; e += 32) {
        s.scores[e] = a.score == Score::SOFTMAX   ? expf(logits[e] - largest)
                      : a.score == Score::SIGMOID ? 1 / (1 + expf(-logits[e]))
                                                  : logits[e];
        sum += s.scores[e];
    }
    sum = warp_sum(sum);
    // Of plain scores the logits have the order, without what FP32 rounds.
    const bool plain = a.bias == nullptr && a.groups == 1;
    for (int e = lane(); e < a.experts; e += 32) {
        s.scores[e] = a.score == Score::SOFTMAX ? s.scores[e] / sum : s.scores[e];
        s.ranks[e] = rank_of(plain ? logits[e] : s.scores[e] + (a.bias == nullptr ? 0 : a.bias[e]));
    }
    return __ballot_sync(ALL_LANES, finite) == ALL_LANES;
}

// Of each group the two highest scores are added up; experts of groups that are not among the best have rank 0.
DEVICE void keep_groups(const RouteArgs& a, Routed& s) {
    const int size = static_cast<int>(a.experts / a.groups);
    for (int g = lane(); g < a.groups; g += 32) {
        float first = -INFINITY;
        float second = -INFINITY;
        for (int e = g * size; e < (g + 1) * size; e++) {
            const float score = s.scores[e] + (a.bias == nullptr ? 0 : a.bias[e]);
            second = fmaxf(second, fminf(first, score));
            first = fmaxf(first, score);
        }
        s.group_ranks[g] = rank_of(size == 1 ? first : first + second);
    }
    __syncwarp();
    for (int64_t i = 0; i < a.used_groups; i++) {
        take_highest(s.group_ranks, static_cast<int>(a.groups));
    }
    for (int e = lane(); e < a.experts; e += 32) {
        if (s.group_ranks[e / size] != 0) {  // it was not taken
            s.ranks[e] = 0;
        }
    }
    __syncwarp();
}

// The highest ranks, and their scores in the order of experts' numbers.
DEVICE void choose(const RouteArgs& a, Routed& s) {
    const int experts = static_cast<int>(a.experts);
    const int words = (experts + 31) / 32;
    for (int i = lane(); i < words; i += 32) {
        s.chosen[i] = 0;
    }
    __syncwarp();
    for (int64_t i = 0; i < a.order.used; i++) {
        const int expert = take_highest(s.ranks, experts);
        if (lane() == 0) {
            s.chosen[expert / 32] |= 1u << expert % 32;
        }
    }
    __syncwarp();
    int before = 0;  // chosen ones with smaller numbers
    for (int i = 0; i < words; i++) {
        const uint32_t bits = s.chosen[i];
        if ((bits >> lane() & 1) != 0) {
            const int at = before + __popc(bits & ((1u << lane()) - 1));
            s.experts[at] = i * 32 + lane();
            s.weights[at] = s.scores[i * 32 + lane()];
        }
        before += __popc(bits);
    }
    __syncwarp();
}

// What weights are divided by; those that are a softmax of the chosen become its numerators.
DEVICE float divisor(const RouteArgs& a, Routed& s) {
    if (a.score == Score::SOFTMAX_OF_CHOSEN) {
        float highest = -INFINITY;
        for (int i = 0; i < a.order.used; i++) {
            highest = fmaxf(highest, s.weights[i]);
        }
        __syncwarp();
        for (int i = lane(); i < a.order.used; i += 32) {
            s.weights[i] = expf(s.weights[i] - highest);
        }
        __syncwarp();
    }
    float sum = 0;
    for (int i = 0; i < a.order.used; i++) {
        sum += s.weights[i];
    }
    return a.score == Score::SOFTMAX_OF_CHOSEN ? sum : a.normalized != 0 ? fmaxf(sum, LEAST_SUM) : 1;
}

DEVICE void route(const RouteArgs& a) {
    follow_previous();
    SHARED(Routed, shared, 1);
    Routed& s = *shared;
    const int64_t row = blockIdx.x;
    const bool finite = score(a, a.logits + row * a.experts, s);
    __syncwarp();
    if (a.groups > 1) {
        keep_groups(a, s);
    }
    choose(a, s);
    const float by = divisor(a, s);
    for (int i = lane(); i < a.order.used; i += 32) {
        const int expert = s.experts[i];
        const float scale = a.scales == nullptr ? 1 : a.scales[expert];
        const float weight = finite ? s.weights[i] / by * a.scale * scale : not_a_number();
        a.ids[row * a.order.used + i] = expert;
        a.weights[row * a.order.used + i] = weight;
        if (a.alone != 0) {
            a.order.places[i] = i;
            a.order.place_rows[i] = 0;
            a.order.place_weights[i] = weight;
            a.order.tiles[i] = {expert, i, i + 1, 0};
        }
    }
}

}  // namespace demitasse

KERNEL(demitasse::ROUTE_THREADS) route(const demitasse::RouteArgs a) { demitasse::route(a); }
EXPORT(route)
