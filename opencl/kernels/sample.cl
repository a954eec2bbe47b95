// Computes: a token for each row of logits. Temperature 0: the largest, the first of equals. Else of the tokens that
//           top-k, top-p and min-p keep, in this order, the one whose interval of exp(logit / temperature), tokens in
//           the order of their numbers, holds a random point. NaN is never chosen; -1 where all logits are. `Draw` in
//           Java is the definition.
// Layout:   logits rows in order, FP32; one SampleRow a row, in the step's data.
// Requires: at most SAMPLE_COLUMNS (2^18) columns, so that sums of weights fit 64 bits.
// Accuracy: weights are FP32 exponentials rounded to multiples of 2^-40 of the largest; sums of those are exact, in any
//           order. Random numbers are SplitMix64's: a hash of seed and number, so that a row's token does not depend on
//           the batch.
// Launch:   one work-group of 256 items a row.
// Moves:    a row once for the largest logit, and 5 times more to draw, from the cache.
// Why:      four bytes a sequence come back, not a row of logits. Thresholds are found digit by digit by histograms,
//           the first of which counts roots of distances from the largest logit, over which logits spread. The tokens
//           that can still be kept then fit a list in local memory, as a rule. 64-bit sums are two atomic additions of
//           32 bits, with carry: OpenCL 1.2 has no others for sure.
#include "kernel.h"

typedef struct SampleArgs {
    long logits;
    long columns;
    long rows;
    long out;
} SampleArgs;

typedef struct SampleRow {
    float temperature;
    float top_p;  // 1: all
    float min_p;  // 0: all
    int top_k;    // 0: all
    ulong seed;
    ulong number;  // of the draw
} SampleRow;

enum { NO_TOKEN = -1 };
enum { BINS = 256 };
enum { BIN_SCALE = 2032 };  // 255^2 / 32: the last bin begins 32 from the largest logit
enum { MOST_LISTED = 2048 };
enum { SHARES = 16 };  // in which tokens are added up
enum { SHARE_ITEMS = SAMPLE_ITEMS / SHARES };
#define WEIGHT_UNIT 1099511627776.0f  // 2^40

// Number `number` of SplitMix64 from a seed (Steele, Lea, Flood 2014): 53 random bits.
ulong random_bits(ulong seed, ulong number) {
    ulong z = seed + (number + 1) * 0x9E3779B97F4A7C15UL;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9UL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBUL;
    return (z ^ z >> 31) >> 11;
}

// An integer that orders as the number; NaN is below all numbers.
uint order_of(float value) {
    const uint bits = as_uint(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return 0;
    }
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

typedef struct Shared {
    uint low[BINS];  // a histogram's sums
    uint high[BINS];
    ulong items[SAMPLE_ITEMS];
    ulong shares[SHARES];
    ulong above;  // weight beyond the chosen bin
    int bin;
    int found;
    int listed;
    int list[MOST_LISTED];
} Shared;

// Tokens from `key` up; of those equal to it, the ones up to `last`.
typedef struct Cut {
    uint key;
    int last;
} Cut;

bool keeps(Cut cut, uint key, int id) { return key > cut.key || (key == cut.key && id <= cut.last); }

// What a token weighs: WEIGH_ONE and WEIGH_PLAIN, exp(logit - largest), for what `kept` keeps; those of one `key`
// alone; WEIGH_TEMPERED, for what min-p keeps of it too.
enum Weigh { WEIGH_ONE, WEIGH_PLAIN, WEIGH_TEMPERED };

typedef struct Search {
    global const float* logits;
    int columns;
    float largest;
    float inverse_temperature;
    ulong least;  // plain weight that min-p keeps
    int listed;   // tokens in the list, or -1
    Cut kept;
    bool is_of_key;
    uint key;
    int weigh;
} Search;

// 0 for NaN.
ulong weight_of(const Search* s, float logit, float inverse_temperature) {
    const float w = exp((logit - s->largest) * inverse_temperature);
    return w > 0 ? (ulong)(w * WEIGHT_UNIT) : 0;
}

ulong weigh(const Search* s, int id, float logit) {
    const uint key = order_of(logit);
    if (!keeps(s->kept, key, id) || (s->is_of_key && key != s->key)) {
        return 0;
    }
    if (s->weigh == WEIGH_ONE) {
        return 1;
    }
    const ulong plain = weight_of(s, logit, 1);
    if (s->weigh == WEIGH_PLAIN) {
        return plain;
    }
    return plain >= s->least ? weight_of(s, logit, s->inverse_temperature) : 0;
}

// The i-th of the tokens that are looked at, and how many they are.
int token_at(const Search* s, local const Shared* shared, int i) { return s->listed < 0 ? i : shared->list[i]; }
int token_count(const Search* s) { return s->listed < 0 ? s->columns : s->listed; }

// The largest logit and the first token that has it, as order << 32 | ~token, in all items.
ulong best_of(const Search* s, local ulong* shared) {
    ulong most = 0;
    for (int id = item(); id < s->columns; id += SAMPLE_ITEMS) {
        most = max(most, (ulong)order_of(s->logits[id]) << 32 | (uint)~id);
    }
    REDUCE_TREE(most, max)
    barrier(CLK_LOCAL_MEM_FENCE);
    return most;
}

int share_of(int count) { return (count + SHARES - 1) / SHARES; }

// Sums of the shares of the tokens from `first` to `end`, in their order, in shared->shares.
void sum_shares(const Search* s, int first, int end, local Shared* shared) {
    const int each = share_of(end - first);
    const int share = item() / SHARE_ITEMS;
    ulong sum = 0;
    for (int id = first + share * each + item() % SHARE_ITEMS; id < min(end, first + (share + 1) * each);
         id += SHARE_ITEMS) {
        sum += weigh(s, id, s->logits[id]);
    }
    shared->items[item()] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item() < SHARES) {
        sum = 0;
        for (int i = 0; i < SHARE_ITEMS; i++) {
            sum += shared->items[item() * SHARE_ITEMS + i];
        }
        shared->shares[item()] = sum;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

ulong sum_of_shares(local const Shared* shared) {
    ulong sum = 0;
    for (int i = 0; i < SHARES; i++) {
        sum += shared->shares[i];
    }
    return sum;
}

// The first token of `columns` at which the sum of weights is more than `target`; -1 if nowhere. All items call it, and
// it has its barriers whatever it looks for.
int find(const Search* s, ulong target, int columns, local Shared* shared) {
    int first = 0;
    int end = columns;
    while (end - first > 2 * SHARES) {
        sum_shares(s, first, end, shared);
        int share = 0;
        while (share < SHARES && target >= shared->shares[share]) {
            target -= shared->shares[share++];
        }
        const int each = share_of(end - first);
        first = min(end, first + share * each);  // the end, where it is nowhere
        end = min(end, first + each);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (item() == 0) {
        shared->found = -1;
        for (int id = first; id < end && shared->found < 0; id++) {
            const ulong weight = weigh(s, id, s->logits[id]);
            if (target < weight) {
                shared->found = id;
            } else {
                target -= weight;
            }
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const int found = shared->found;
    barrier(CLK_LOCAL_MEM_FENCE);
    return found;
}

// Where a logit counts in a histogram: by the square root of its distance from the largest, then by the digits of its
// order.
int bin_of(const Search* s, int level, uint key, float logit) {
    if (level > 0) {
        return (int)(key >> (32 - 8 * level) & 0xFF);
    }
    const float distance = (s->largest - logit) * BIN_SCALE;
    int root = (int)fmin(sqrt(distance), BINS - 1.0f);
    // A device's root may be off by some units, and what is farther may not count as nearer.
    root -= root > 0 && (float)(root * root) > distance ? 1 : 0;
    root += root < BINS - 1 && (float)((root + 1) * (root + 1)) <= distance ? 1 : 0;
    return BINS - 1 - root;
}

ulong bin_sum(local const Shared* shared, int bin) { return (ulong)shared->high[bin] << 32 | shared->low[bin]; }

void add_to_bin(local Shared* shared, int bin, ulong weight) {
    const uint low = (uint)weight;
    const uint before = atomic_add((volatile local uint*)&shared->low[bin], low);
    const uint high = (uint)(weight >> 32) + (before + low < before ? 1 : 0);
    if (high != 0) {
        atomic_add((volatile local uint*)&shared->high[bin], high);
    }
}

// The histogram of a level of what is weighed and has the digits of `key` above it.
void count_level(const Search* s, int level, int near, uint key, local Shared* shared) {
    for (int i = item(); i < BINS; i += SAMPLE_ITEMS) {
        shared->low[i] = 0;
        shared->high[i] = 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    ulong far = 0;  // in the last bin of level 0, where most may be
    for (int i = item(); i < token_count(s); i += SAMPLE_ITEMS) {
        const int id = token_at(s, shared, i);
        const float logit = s->logits[id];
        const uint k = order_of(logit);
        if (k == 0 || (level > 0 && (bin_of(s, 0, k, logit) != near ||
                                     (level > 1 && k >> (40 - 8 * level) != key >> (40 - 8 * level))))) {
            continue;
        }
        const ulong weight = weigh(s, id, logit);
        const int bin = bin_of(s, level, k, logit);
        if (level == 0 && bin == 0) {
            far += weight;
        } else if (weight != 0) {
            add_to_bin(shared, bin, weight);
        }
    }
    if (far != 0) {
        add_to_bin(shared, 0, far);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

// From the highest bin down: the first with which the sum reaches `needed`.
void choose_bin(ulong above, ulong needed, local Shared* shared) {
    if (item() == 0) {
        int bin = BINS - 1;
        while (bin > 0 && above + bin_sum(shared, bin) < needed) {
            above += bin_sum(shared, bin--);
        }
        shared->above = above;
        shared->bin = bin;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

// Lists the tokens of level 0's bins from `near` up, unless they are too many, or none are wanted.
void make_list(Search* s, int near, bool wanted, local Shared* shared) {
    if (item() == 0) {
        shared->listed = 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int id = item(); id < (wanted ? s->columns : 0); id += SAMPLE_ITEMS) {
        const uint k = order_of(s->logits[id]);
        if (k != 0 && bin_of(s, 0, k, s->logits[id]) >= near && keeps(s->kept, k, id)) {
            const int at = atomic_inc((volatile local int*)&shared->listed);
            if (at < MOST_LISTED) {
                shared->list[at] = id;
            }
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (wanted) {
        s->listed = shared->listed <= MOST_LISTED ? shared->listed : -1;
    }
}

// The fewest most likely tokens of those kept whose weights reach some number are the ones beyond a key, whose weights
// are `above`, and some of those with that key, whose weights are `equals`.
typedef struct Edge {
    uint key;
    ulong above;
    ulong equals;
} Edge;

enum { LEVELS = 5 };

// Finds it digit by digit, in so many levels: LEVELS, or 0 where none is wanted.
Edge edge_of(Search* s, ulong needed, int levels, local Shared* shared) {
    Edge edge = {0, 0, 0};
    int near = 0;
    for (int level = 0; level < levels; level++) {
        count_level(s, level, near, edge.key, shared);
        choose_bin(edge.above, needed, shared);
        edge.above = shared->above;
        const int bin = shared->bin;
        edge.equals = bin_sum(shared, bin);
        near = level == 0 ? bin : near;
        edge.key |= level == 0 ? 0 : (uint)bin << (32 - 8 * level);
        make_list(s, near, level == 0 && s->listed < 0, shared);
    }
    return edge;
}

// ceil(factor sum) for a factor below 1, exactly.
ulong share_needed(float factor, ulong sum) {
    const uint bits = as_uint(factor);
    const ulong mantissa = (bits & 0x7FFFFFu) | 0x800000u;
    const int shift = 150 - (int)(bits >> 23);  // factor = mantissa / 2^shift; at least 24
    const ulong high = mul_hi(sum, mantissa);
    const ulong low = sum * mantissa;
    if (shift >= 64) {
        return shift >= 128 ? 1 : (high >> (shift - 64)) + 1;
    }
    const ulong whole = high << (64 - shift) | low >> shift;
    return whole + ((low & ((1UL << shift) - 1)) != 0 ? 1 : 0);
}

// Cuts by top-k, then by top-p, then draws: one after the other by the same code, since compilers make each barrier's
// part of it anew.
int draw(Search* s, global const SampleRow* row, local Shared* shared) {
    s->kept.key = 0;
    s->kept.last = s->columns;
    s->least = (ulong)(row->min_p * WEIGHT_UNIT);
    s->inverse_temperature = 1 / row->temperature;
    int found = -1;
    for (int by = WEIGH_ONE; by <= WEIGH_TEMPERED; by++) {
        const bool cuts =
            by == WEIGH_ONE ? row->top_k > 0 && row->top_k < s->columns : by == WEIGH_PLAIN && row->top_p < 1;
        const bool draws = by == WEIGH_TEMPERED;
        s->weigh = by;
        sum_shares(s, 0, cuts || draws ? s->columns : 0, shared);
        const ulong sum = sum_of_shares(shared);
        const ulong needed = by == WEIGH_ONE ? (ulong)row->top_k : share_needed(row->top_p, sum);
        barrier(CLK_LOCAL_MEM_FENCE);
        const Edge edge = edge_of(s, needed, cuts ? LEVELS : 0, shared);
        const bool divides = cuts && edge.above + edge.equals > needed;  // those with the key
        const ulong target =
            draws ? mul_hi(sum, random_bits(row->seed, row->number) << 11) : needed - edge.above - 1;
        s->is_of_key = divides;
        s->key = edge.key;
        found = find(s, target, divides || draws ? s->columns : 0, shared);
        s->is_of_key = false;
        if (cuts) {
            s->kept.last = divides ? found : edge.key == s->kept.key ? s->kept.last : s->columns;
            s->kept.key = edge.key;
        }
    }
    return found;
}

KERNEL(SAMPLE_ITEMS) sample(global const uchar* logits, global const uchar* rows, global uchar* out,
                            const SampleArgs a) {
    local Shared shared;
    const long row_number = (long)get_group_id(0);
    global const SampleRow* row = READ(SampleRow, rows, a.rows) + row_number;
    Search s;
    s.logits = READ(float, logits, a.logits) + row_number * a.columns;
    s.columns = (int)a.columns;
    s.listed = -1;
    s.is_of_key = false;
    const int best = (int)~(uint)best_of(&s, shared.items);
    s.largest = s.logits[best];
    const bool none = order_of(s.largest) == 0;
    int drawn = best;
    if (row->temperature != 0 && !none) {
        drawn = draw(&s, row, &shared);
    }
    if (item() == 0) {
        // an infinite logit has no weight
        WRITE(int, out, a.out)[row_number] = none ? NO_TOKEN : drawn < 0 ? best : drawn;
    }
}
