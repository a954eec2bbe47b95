// Computes: a token for each row of logits. Temperature 0: the largest, the first of equals. Else of the tokens that
//           top-k, top-p and min-p keep, in this order, the one whose interval of exp(logit / temperature), tokens in
//           the order of their numbers, holds a random point. NaN is never chosen; -1 where all logits are. `Draw` in
//           Java is the definition.
// Layout:   logits rows in order, FP32; one SampleRow a row, in device memory.
// Requires: at most SAMPLE_COLUMNS (2^18) columns, so that sums of weights fit 64 bits.
// Accuracy: weights are FP32 exponentials rounded to multiples of 2^-40 of the largest; sums of those are exact, in any
//           order. Random numbers are SplitMix64's: a hash of seed and number, so that a row's token does not depend on
//           the batch.
// Launch:   one block of 512 threads a row.
// Moves:    a row once for the largest logit, and 4 times more to draw, from the second-level cache; 4 bytes return.
// Why:      four bytes a sequence come back, not a row of logits. One multiprocessor reads a row, so that threads have
//           sixteen loads on their way. Thresholds are found digit by digit by histograms, the first of which counts
//           roots of distances from the largest logit, over which logits spread, so that few threads add to the same
//           count (64-bit additions in shared memory are loops); what is far from it is added up by warps. The tokens
//           that can still be kept then fit a list in shared memory, as a rule, and only they are looked at again.
#include "demitasse/kernel.cuh"

namespace demitasse {

struct SampleRow {
    float temperature;
    float top_p;    // 1: all
    float min_p;    // 0: all
    int32_t top_k;  // 0: all
    uint64_t seed;
    uint64_t number;  // of the draw
};

struct SampleArgs {
    const float* logits;
    int64_t columns;
    const SampleRow* rows;
    int32_t* out;
    int32_t* host;  // the same, in pinned memory of the host
};

constexpr int SAMPLE_WARPS = SAMPLE_THREADS / 32;
constexpr int NO_TOKEN = -1;
constexpr int BINS = 256;
constexpr float BIN_SCALE = 2032;  // 255^2 / 32: the last bin begins 32 from the largest logit
constexpr int MOST_LISTED = 4096;
constexpr int LOADS = 16;                        // loads of a thread on their way
constexpr float WEIGHT_UNIT = 1099511627776.0f;  // 2^40

// Number `number` of SplitMix64 from a seed (Steele, Lea, Flood 2014): 53 random bits.
DEVICE uint64_t random_bits(uint64_t seed, uint64_t number) {
    uint64_t z = seed + (number + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) >> 11;
}

// An integer that orders as the number; NaN is below all numbers.
DEVICE uint32_t order(float value) {
    const uint32_t bits = __float_as_uint(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return 0;
    }
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

struct SampleShared {
    uint64_t bins[BINS];
    uint64_t warps[SAMPLE_WARPS];
    uint64_t above;  // weight beyond the chosen bin
    int bin;
    int found;
    uint32_t listed;
    int32_t list[MOST_LISTED];
};

// Tokens from `key` up; of those equal to it, the ones up to `last`.
struct Cut {
    uint32_t key;
    int last;
    DEVICE bool keeps(uint32_t k, int id) const { return k > key || (k == key && id <= last); }
};

struct SampleBlock {
    const float* logits;
    int columns;
    SampleShared& s;
    float largest;
    int listed = -1;  // tokens in the list, if there is one

    // f(token, logit) of a thread's share of the tokens from `first` to `end`, `step` apart.
    template <class F>
    DEVICE void each(int first, int end, int step, F f) const {
        for (; first < end; first += LOADS * step) {
            float some[LOADS];
#pragma unroll
            for (int i = 0; i < LOADS; i++) {
                some[i] = first + i * step < end ? logits[first + i * step] : 0;
            }
#pragma unroll
            for (int i = 0; i < LOADS; i++) {
                if (first + i * step < end) {
                    f(first + i * step, some[i]);
                }
            }
        }
    }

    // The same of all tokens, or of those in the list.
    template <class F>
    DEVICE void each(F f) const {
        if (listed < 0) {
            each(static_cast<int>(threadIdx.x), columns, SAMPLE_THREADS, f);
            return;
        }
        for (int i = static_cast<int>(threadIdx.x); i < listed; i += SAMPLE_THREADS) {
            f(s.list[i], logits[s.list[i]]);
        }
    }

    // Lists the tokens of which wanted(token, logit), unless they are too many.
    template <class Wanted>
    DEVICE void make_list(Wanted wanted) {
        if (threadIdx.x == 0) {
            s.listed = 0;
        }
        __syncthreads();
        each([&](int id, float logit) {
            if (wanted(id, logit)) {
                const uint32_t at = count_atomically(&s.listed);
                if (at < MOST_LISTED) {
                    s.list[at] = id;
                }
            }
        });
        __syncthreads();
        listed = s.listed <= MOST_LISTED ? static_cast<int>(s.listed) : -1;
    }

    // 0 for NaN.
    DEVICE uint64_t weight(float logit, float inverse_temperature) const {
        const float w = expf((logit - largest) * inverse_temperature);
        return w > 0 ? static_cast<uint64_t>(w * WEIGHT_UNIT) : 0;
    }

    static DEVICE uint64_t sum_of_warp(uint64_t value) {
        for (int distance = 16; distance > 0; distance /= 2) {
            value += __shfl_xor_sync(ALL_LANES, value, distance);
        }
        return value;
    }

    // The sum of the lanes up to this one.
    static DEVICE uint64_t sum_to_lane(uint64_t value) {
        for (int distance = 1; distance < 32; distance *= 2) {
            const uint64_t lower = __shfl_up_sync(ALL_LANES, value, static_cast<unsigned>(distance));
            value += lane() >= distance ? lower : 0;
        }
        return value;
    }

    // The largest logit and the first token that has it, as order << 32 | ~token, in all threads.
    DEVICE uint64_t best() const {
        uint64_t most = 0;
        each([&](int id, float logit) {
            const uint64_t entry = static_cast<uint64_t>(order(logit)) << 32 | ~static_cast<uint32_t>(id);
            most = entry > most ? entry : most;
        });
        for (int distance = 16; distance > 0; distance /= 2) {
            const uint64_t other = __shfl_xor_sync(ALL_LANES, most, distance);
            most = other > most ? other : most;
        }
        if (lane() == 0) {
            s.warps[warp()] = most;
        }
        __syncthreads();
        for (int w = 0; w < SAMPLE_WARPS; w++) {
            most = s.warps[w] > most ? s.warps[w] : most;
        }
        __syncthreads();
        return most;
    }

    // Stores the sum of each warp in s.warps.
    DEVICE void store_sum(uint64_t sum) const {
        sum = sum_of_warp(sum);
        if (lane() == 0) {
            s.warps[warp()] = sum;
        }
        __syncthreads();
    }

    DEVICE uint64_t sum_of_warps() const {
        uint64_t sum = 0;
        for (int w = 0; w < SAMPLE_WARPS; w++) {
            sum += s.warps[w];
        }
        return sum;
    }

    // Columns of a warp where it takes a share of `count`.
    static DEVICE int share_of(int count) { return round_up((count + SAMPLE_WARPS - 1) / SAMPLE_WARPS, 32); }

    // Sums of the warps' shares of the tokens from `first` to `end`, in their order, in s.warps; weight(token, logit)
    // of each.
    template <class Weight>
    DEVICE void sum_shares(int first, int end, Weight weight_of) const {
        const int share = share_of(end - first);
        uint64_t sum = 0;
        each(first + warp() * share + lane(), minimum(end, first + (warp() + 1) * share), 32,
             [&](int id, float logit) { sum += weight_of(id, logit); });
        store_sum(sum);
    }

    // After sum_shares of the same: the share with which the sum is more than `target`, which becomes what is left for
    // it.
    DEVICE int find_share(uint64_t& target) const {
        for (int w = 0; w < SAMPLE_WARPS; w++) {
            if (target < s.warps[w]) {
                return w;
            }
            target -= s.warps[w];
        }
        return -1;
    }

    // After sum_shares of all tokens with the same weights: the first one at which their sum is more than `target`; -1
    // if nowhere. The share is searched by its own shares, and of those one by a warp.
    template <class Weight>
    DEVICE int find(uint64_t target, Weight weight_of) const {
        const int share = find_share(target);
        __syncthreads();
        if (share < 0) {
            return -1;
        }
        int first = share * share_of(columns);
        int end = minimum(columns, first + share_of(columns));
        sum_shares(first, end, weight_of);
        const int piece = find_share(target);
        first += piece * share_of(end - share * share_of(columns));
        end = minimum(end, first + share_of(end - share * share_of(columns)));
        if (warp() == 0) {
            for (;; first += 32) {
                const int id = first + lane();
                uint64_t sum = id < end ? weight_of(id, logits[id]) : 0;
                sum = sum_to_lane(sum);
                const uint32_t beyond = __ballot_sync(ALL_LANES, sum > target);
                if (beyond != 0) {
                    if (lane() == __ffs(static_cast<int>(beyond)) - 1) {
                        s.found = id;
                    }
                    break;
                }
                target -= __shfl_sync(ALL_LANES, sum, 31);
            }
        }
        __syncthreads();
        const int found = s.found;
        __syncthreads();
        return found;
    }

    // Where a logit counts in a histogram: by the square root of its distance from the largest, then by the digits of
    // its order. Up to 32 from the largest bins are 0.0005 wide at first, so that they also part logits that are all
    // alike, and 0.25 at last.
    DEVICE int bin_of(int level, uint32_t key, float logit) const {
        return level == 0 ? BINS - 1 - static_cast<int>(fminf(sqrtf((largest - logit) * BIN_SCALE), BINS - 1.0f))
                          : static_cast<int>(key >> (32 - 8 * level) & 0xFF);
    }

    // From the highest bin down: the first with which the sum reaches `needed`.
    DEVICE void choose_bin(uint64_t above, uint64_t needed) const {
        if (warp() != 0) {
            return;
        }
        constexpr int EACH = BINS / 32;
        uint64_t sum = 0;
        for (int i = 0; i < EACH; i++) {
            sum += s.bins[BINS - 1 - lane() * EACH - i];
        }
        const uint64_t own = sum;
        sum = sum_to_lane(sum);
        const uint32_t reached = __ballot_sync(ALL_LANES, above + sum >= needed);
        if (lane() == (reached == 0 ? 31 : __ffs(static_cast<int>(reached)) - 1)) {
            uint64_t beyond = above + sum - own;
            int bin = BINS - 1 - lane() * EACH;
            for (; bin > BINS - (lane() + 1) * EACH && beyond + s.bins[bin] < needed; bin--) {
                beyond += s.bins[bin];
            }
            s.above = beyond;
            s.bin = bin;
        }
    }

    // Counts in the histogram what `before` keeps and has the digits of `key` above the level; in `far`, which is
    // returned, what is in the last bin of level 0, where most may be.
    template <class Weight>
    DEVICE uint64_t count(int level, int near, uint32_t key, const Cut& before, Weight weight_of) const {
        uint64_t far = 0;
        each([&](int id, float logit) {
            const uint32_t k = order(logit);
            const bool same = level == 0 || (bin_of(0, k, logit) == near &&
                                             (level == 1 || k >> (40 - 8 * level) == key >> (40 - 8 * level)));
            const uint64_t weight = same && before.keeps(k, id) ? weight_of(logit) : 0;
            const int bin = bin_of(level, k, logit);
            if (level == 0 && bin == 0) {
                far += weight;
            } else if (weight != 0) {
                add_atomically(&s.bins[bin], weight);
            }
        });
        return far;
    }

    // The fewest most likely tokens that `before` keeps whose weights reach `needed`; weight(logit) of each.
    template <class Weight>
    DEVICE Cut cut(const Cut& before, uint64_t needed, Weight weight_of) {
        uint64_t above = 0;
        uint32_t key = 0;
        int near = 0;  // the bin of level 0
        for (int level = 0; level <= 4; level++) {
            for (int i = static_cast<int>(threadIdx.x); i < BINS; i += SAMPLE_THREADS) {
                s.bins[i] = 0;
            }
            __syncthreads();
            const uint64_t far = sum_of_warp(count(level, near, key, before, weight_of));
            if (lane() == 0 && far != 0) {
                add_atomically(&s.bins[0], far);
            }
            __syncthreads();
            choose_bin(above, needed);
            __syncthreads();
            above = s.above;
            if (level > 0) {
                key |= static_cast<uint32_t>(s.bin) << (32 - 8 * level);
                continue;
            }
            near = s.bin;
            if (listed < 0) {
                make_list([&](int id, float logit) {
                    const uint32_t k = order(logit);
                    return bin_of(0, k, logit) >= near && before.keeps(k, id);
                });
            }
        }
        const uint64_t equals = s.bins[key & 0xFF];  // the weight of all of them
        __syncthreads();
        if (above + equals <= needed) {
            return {key, key == before.key ? before.last : columns};
        }
        const auto equal = [&](int id, float logit) {
            const uint32_t k = order(logit);
            return k == key && before.keeps(k, id) ? weight_of(logit) : uint64_t{0};
        };
        sum_shares(0, columns, equal);
        return {key, find(needed - above - 1, equal)};
    }

    DEVICE int draw(const SampleRow& row) {
        Cut kept{0, columns};
        if (row.top_k > 0 && row.top_k < columns) {
            kept = cut(kept, static_cast<uint64_t>(row.top_k), [](float) { return uint64_t{1}; });
        }
        const auto plain = [&](float logit) { return weight(logit, 1); };
        if (row.top_p < 1) {
            uint64_t sum = 0;
            each([&](int id, float logit) { sum += kept.keeps(order(logit), id) ? plain(logit) : 0; });
            store_sum(sum);
            const double all = static_cast<double>(sum_of_warps());
            __syncthreads();
            kept = cut(kept, static_cast<uint64_t>(ceil(static_cast<double>(row.top_p) * all)), plain);
        }
        const auto least = static_cast<uint64_t>(row.min_p * WEIGHT_UNIT);
        const float inverse = 1 / row.temperature;
        const auto tempered = [&](int id, float logit) {
            return kept.keeps(order(logit), id) && plain(logit) >= least ? weight(logit, inverse) : uint64_t{0};
        };
        sum_shares(0, columns, tempered);
        return find(__umul64hi(sum_of_warps(), random_bits(row.seed, row.number) << 11), tempered);
    }
};

}  // namespace demitasse

KERNEL_BLOCKS(demitasse::SAMPLE_THREADS, 1) sample(const demitasse::SampleArgs a) {
    using namespace demitasse;
    follow_previous();
    SHARED(SampleShared, shared, 1);
    const SampleRow& row = a.rows[blockIdx.x];  // read where it is wanted: registers are few
    SampleBlock block{a.logits + blockIdx.x * a.columns, static_cast<int>(a.columns), shared[0], 0, -1};
    const int best = static_cast<int>(~static_cast<uint32_t>(block.best()));
    block.largest = block.logits[best];
    const bool none = order(block.largest) == 0;
    const int drawn = row.temperature == 0 || none ? best : block.draw(row);
    if (threadIdx.x == 0) {
        const int token = none ? NO_TOKEN : drawn < 0 ? best : drawn;  // an infinite logit has no weight
        a.out[blockIdx.x] = token;
        a.host[blockIdx.x] = token;
    }
}
EXPORT(sample)
