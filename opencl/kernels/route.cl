// Computes: the `used` experts of each row with the highest scores, of equals the first, and their weights.
// Layout:   logits rows x experts FP32; bias and scales one an expert, or none; experts.h.
// Requires: MOST_EXPERTS experts and MOST_CHOSEN of them at most; `groups` divides the experts.
// Accuracy: FP32, sums in a fixed order: a row has the same bits in any number of rows. Experts whose scores are as
//           near as FP32 rounds may be chosen in another order than in FP64. Logits of which one is not finite give NaN
//           weights.
// Launch:   a work-group of ROUTE_ITEMS items a row. One row alone is also put in order; order_routes does that for
//           more.
// Moves:    4 bytes a logit; 8 bytes are written a choice.
// Why:      bound by latency: `used` rounds, in which an item looks at its experts in local memory and the work-group
//           finds the highest.
#include "experts.h"

// What becomes of logits: softmax over all, the logistic function, softmax over the chosen.
enum Score { SCORE_SOFTMAX, SCORE_SIGMOID, SCORE_SOFTMAX_OF_CHOSEN };

typedef struct RouteArgs {
    long logits;
    long experts;
    long score;
    long normalized;  // 1: weights are divided by their sum
    Real scale;       // multiplies weights after that
    long groups;      // of neighboring experts
    long used_groups;
    long bias;    // added to scores where experts are chosen
    long scales;  // multiply weights in the end
    long alone;   // 1: the only row, which is put in order
    RouteOrder order;
} RouteArgs;

#define LEAST_SUM 6.103515625e-05f  // that weights are divided by: 2^-14

// Numbers in their order as integers above 0; NaN as negative infinity.
uint rank_of(float x) {
    const uint bits = as_uint(isnan(x) ? -INFINITY : x + 0.0f);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// The highest of `count` ranks, of equals the first, which becomes 0; one of them is above that.
int take_highest(local uint* ranks, int count, local ulong* shared) {
    ulong best = 0;
    for (int i = item(); i < count; i += ROUTE_ITEMS) {
        best = max(best, (ulong)ranks[i] << 32 | (uint)(count - i));
    }
    REDUCE_TREE(best, max)
    const int highest = count - (int)(uint)best;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item() == 0) {
        ranks[highest] = 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return highest;
}

// GROUPS, 1: experts are chosen in the best groups alone.
KERNEL(ROUTE_ITEMS)
route(global const uchar* logit_memory, global const uchar* bias, global const uchar* scales, global uchar* routes,
      const RouteArgs a) {
    local float scores[MOST_EXPERTS];
    local uint ranks[MOST_EXPERTS];
    local uint group_ranks[GROUPS ? MOST_EXPERTS : 1];
    local int chosen[MOST_CHOSEN];
    local float weights[MOST_CHOSEN];
    local ulong shared_ranks[ROUTE_ITEMS];
    local float shared[ROUTE_ITEMS];
    const int experts = (int)a.experts;
    const int used = (int)a.order.used;
    const long row = (long)get_group_id(0);
    global const float* logits = READ(float, logit_memory, a.logits) + row * experts;
    global const float* biases = READ(float, bias, a.bias);
    float largest = -INFINITY;
    float magnitude = 0;
    for (int e = item(); e < experts; e += ROUTE_ITEMS) {
        largest = fmax(largest, logits[e]);
        magnitude = larger_magnitude(magnitude, logits[e]);
    }
    REDUCE_TREE(largest, fmax)
    REDUCE_TREE(magnitude, larger_magnitude)
    const bool finite = is_finite(magnitude);
    float sum = 0;
    for (int e = item(); e < experts; e += ROUTE_ITEMS) {
        const float logit = logits[e];
        scores[e] = a.score == SCORE_SOFTMAX   ? exp(logit - largest)
                    : a.score == SCORE_SIGMOID ? 1 / (1 + exp(-logit))
                                               : logit;
        sum += scores[e];
    }
    REDUCE_TREE(sum, SUM_OF)
    // Of plain scores the logits have the order, without what FP32 rounds.
    const bool plain = !is_there(a.bias) && !GROUPS;
    for (int e = item(); e < experts; e += ROUTE_ITEMS) {
        scores[e] = a.score == SCORE_SOFTMAX ? scores[e] / sum : scores[e];
        ranks[e] = rank_of(plain ? logits[e] : is_there(a.bias) ? scores[e] + biases[e] : scores[e]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#if GROUPS
    const int size = experts / (int)a.groups;
    for (int g = item(); g < a.groups; g += ROUTE_ITEMS) {
        float first = -INFINITY;
        float second = -INFINITY;
        for (int e = g * size; e < (g + 1) * size; e++) {
            const float score = is_there(a.bias) ? scores[e] + biases[e] : scores[e];
            second = fmax(second, fmin(first, score));
            first = fmax(first, score);
        }
        group_ranks[g] = rank_of(size == 1 ? first : first + second);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < a.used_groups; i++) {
        take_highest(group_ranks, (int)a.groups, shared_ranks);
    }
    for (int e = item(); e < experts; e += ROUTE_ITEMS) {
        ranks[e] = group_ranks[e / size] != 0 ? 0 : ranks[e];  // what was taken is 0
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#endif
    for (int i = 0; i < used; i++) {
        const int expert = take_highest(ranks, experts, shared_ranks);
        if (item() == 0) {
            chosen[i] = expert;
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    // The chosen in the order of their numbers: each one's place is how many are below it.
    global int* ids = WRITE(int, routes, a.order.ids) + row * used;
    float highest = -INFINITY;
    for (int i = item(); i < used; i += ROUTE_ITEMS) {
        int below = 0;
        for (int k = 0; k < used; k++) {
            below += chosen[k] < chosen[i] ? 1 : 0;
        }
        ids[below] = chosen[i];
        weights[below] = scores[chosen[i]];
        highest = fmax(highest, scores[chosen[i]]);
    }
    REDUCE_TREE(highest, fmax)
    const bool of_chosen = a.score == SCORE_SOFTMAX_OF_CHOSEN;
    for (int i = item(); i < used; i += ROUTE_ITEMS) {
        weights[i] = of_chosen ? exp(weights[i] - highest) : weights[i];
    }
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    sum = 0;
    for (int i = 0; i < used; i++) {
        sum += weights[i];
    }
    const float by = of_chosen ? sum : a.normalized != 0 ? fmax(sum, LEAST_SUM) : 1;
    for (int i = item(); i < used; i += ROUTE_ITEMS) {
        const int expert = ids[i];
        const float scale = is_there(a.scales) ? READ(float, scales, a.scales)[expert] : 1;
        const float weight = finite ? weights[i] / by * a.scale.value * scale : not_a_number();
        WRITE(float, routes, a.order.weights)[row * used + i] = weight;
        if (a.alone != 0) {
            const GroupTile tile = {expert, i, i + 1, 0};
            WRITE(int, routes, a.order.places)[i] = i;
            WRITE(int, routes, a.order.place_rows)[i] = 0;
            WRITE(float, routes, a.order.place_weights)[i] = weight;
            WRITE(GroupTile, routes, a.order.tiles)[i] = tile;
        }
    }
}
