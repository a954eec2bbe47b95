// Computes: softmax(cap(scale q.k)) v of query heads over the positions that they see, by the online softmax (Milakov
//           and Gimelshein, 2018).
// Layout:   queries [row][head][element] FP32; pages as KvPages in command.h; a state is [maximum, sum, sum of the
//           query, padding to 16][elements].
// Requires: elements of a head padded to 16; padding of pages is zero (of INT4: its levels are, and it meets no query).
// Accuracy: FP32 sums. Positions are taken page by page from the page of the first one on; every segment of 512
//           positions is computed alone, and segments are merged in order. So a query has the same bits alone, in a
//           batch and in any chunk.
// Launch:   one task the query heads of one KV head by a block of 16 rows of a sequence or, for a row that stands
//           alone, by a segment; attention_merge then merges the segments of such rows.
// Moves:    keys and values once a task; 4 operations an element, position and query.
// Why:      a page is widened to FP32 once for all queries that share it, or as it is read where they are few; scales
//           and minimums are taken into the scores and weights, not into the elements, where a head has one group of
//           them.
//           Scores of 32 positions are whole registers and need no sums across lanes.
#pragma once

#include "demitasse/kernels.h"
#include "demitasse/simd.h"
#include "page_elements.h"

namespace demitasse::DM_ISA {

struct AttentionState {
    float* at;
    float& maximum() const { return at[0]; }
    float& sum() const { return at[1]; }
    float& query_sum() const { return at[2]; }  // of the query's elements, where keys have minimums
    float* vector() const { return at + STATE_HEADER; }
};

// A query's part of a page: the positions within the page that it sees, and its state.
struct PageQuery {
    const float* q;
    AttentionState state;
    int from;
    int to;
};

// Products of Q queries with all positions of a page: scores[query][position].
template <int Q, class Load>
inline void scores_of(const PageQuery* queries, const PageElements& page, int64_t dim, float* scores) {
    constexpr int STEP = LANES < 8 ? 16 : 32;  // positions whose sums fit the registers
    constexpr int R = STEP / LANES;
    for (int p = 0; p < PAGE; p += STEP) {
        F32 s[Q][R];
        for (int i = 0; i < Q * R; i++) {
            s[i / R][i % R] = zero();
        }
        auto element = [&]<int ODD>(int64_t d) __attribute__((always_inline)) {
            F32 x[Q];
            for (int i = 0; i < Q; i++) {
                x[i] = set1(queries[i].q[d + ODD]);
            }
            for (int j = 0; j < R; j++) {
                F32 k = Load::template keys<ODD>(page.keys, d, p + j * LANES);
                for (int i = 0; i < Q; i++) {
                    s[i][j] = fma(k, x[i], s[i][j]);
                }
            }
        };
        int64_t d = 0;
        for (; d + 1 < dim; d += 2) {
            prefetch_next<Load, STEP>(page, d + p / STEP * dim);
            element.template operator()<0>(d);
            element.template operator()<1>(d);
        }
        if (d < dim) {
            element.template operator()<0>(d);
        }
        for (int i = 0; i < Q * R; i++) {
            store(scores + i / R * PAGE + p + i % R * LANES, s[i / R][i % R]);
        }
    }
}

// A query's products with a page's positions, on their way to weights.
struct PageScores {
    static constexpr int COUNT = PAGE / LANES;
    F32 s[COUNT];

    explicit PageScores(const float* from) {
        for (int i = 0; i < COUNT; i++) {
            s[i] = load(from + i * LANES);
        }
    }

    // Gives the positions that the query does not see a value; at: room for the scores.
    void fill_unseen(const PageQuery& query, float value, float* at) {
        if (query.from == 0 && query.to == PAGE) {
            return;
        }
        write(at);
        for (int p = 0; p < query.from; p++) {
            at[p] = value;
        }
        for (int p = query.to; p < PAGE; p++) {
            at[p] = value;
        }
        *this = PageScores(at);
    }

    void write(float* to) const {
        for (int i = 0; i < COUNT; i++) {
            store(to + i * LANES, s[i]);
        }
    }

    template <class F>
    F32 fold(F f) const {
        F32 all = s[0];
        for (int i = 1; i < COUNT; i++) {
            all = f(all, s[i]);
        }
        return all;
    }
};

// What becomes of a query's sums: they are multiplied by `correction`, then `minimum` is added to each.
struct PageSums {
    float correction;
    float minimum;
};

// Turns a query's products into weights and updates its maximum and sum.
inline PageSums softmax_page(const PageQuery& query, const PageElements& page, const AttentionArgs& a, float* scores) {
    PageScores x(scores);
    for (int i = 0; i < PageScores::COUNT; i++) {
        if (page.key_minimums != nullptr) {
            const F32 minimum = mul(load(page.key_minimums + i * LANES), set1(query.state.query_sum()));
            x.s[i] = mul(fma(x.s[i], load(page.key_scales + i * LANES), minimum), set1(a.scale));
        } else {
            x.s[i] = mul(x.s[i], set1(a.scale));
            if (page.key_scales != nullptr) {
                x.s[i] = mul(x.s[i], load(page.key_scales + i * LANES));
            }
        }
        if (a.soft_cap != 0) {
            x.s[i] = mul(tanh(div(x.s[i], set1(a.soft_cap))), set1(a.soft_cap));
        }
    }
    x.fill_unseen(query, -__builtin_inff(), scores);
    const float before = query.state.maximum();
    const F32 largest = x.fold([](F32 p, F32 q) { return max(p, q); });
    float maximum = before;
    float correction = 1;
    if (any_greater(largest, set1(before))) {  // most pages do not raise the maximum
        maximum = reduce_max(largest);
        correction = before == -__builtin_inff() ? 0 : exp(before - maximum);
    }
    for (int i = 0; i < PageScores::COUNT; i++) {
        x.s[i] = exp(sub(x.s[i], set1(maximum)));
    }
    x.fill_unseen(query, 0, scores);
    query.state.maximum() = maximum;
    query.state.sum() = query.state.sum() * correction + reduce_add(x.fold([](F32 p, F32 q) { return add(p, q); }));
    PageSums sums{correction, 0};
    if (page.value_minimums != nullptr) {
        PageScores weighed = x;
        for (int i = 0; i < PageScores::COUNT; i++) {
            weighed.s[i] = mul(x.s[i], load(page.value_minimums + i * LANES));
        }
        weighed.fill_unseen(query, 0, scores);  // there may be NaN
        sums.minimum = reduce_add(weighed.fold([](F32 p, F32 q) { return add(p, q); }));
    }
    if (page.value_scales != nullptr) {
        for (int i = 0; i < PageScores::COUNT; i++) {
            x.s[i] = mul(x.s[i], load(page.value_scales + i * LANES));
        }
    }
    x.write(scores);
    return sums;
}

// state = correction state + minimum + weights . values for Q queries; weights beyond what a query sees are zero.
template <int Q, class Load>
inline void weigh_values(const PageQuery* queries, const PageElements& page, int64_t dim, int from, int to,
                         const float* weights, const PageSums* sums) {
    constexpr int R = LANES == 16 ? (Q > 4 ? 1 : 2) : 16 / LANES * (Q > 1 || LANES < 8 ? 1 : 2);
    int64_t d = 0;
    auto elements = [&]<int N>() __attribute__((always_inline)) {
        F32 s[Q][N];
        // Sums in the order of values that come in pairs, or back.
        auto swap_halves = [&] {
            if constexpr (Load::PAIRS) {
                for (int i = 0; i < Q; i++) {
                    for (int j = 0; j + 1 < N; j += 2) {
                        exchange_halves(s[i][j], s[i][j + 1]);
                    }
                }
            }
        };
        for (int i = 0; i < Q; i++) {
            for (int j = 0; j < N; j++) {
                s[i][j] = fma(load(queries[i].state.vector() + d + j * LANES), set1(sums[i].correction),
                              set1(sums[i].minimum));
            }
        }
        swap_halves();
        for (int p = from; p < to; p++) {
            F32 w[Q];
            for (int i = 0; i < Q; i++) {
                w[i] = set1(weights[i * PAGE + p]);
            }
            auto lanes = [&]<int J>() __attribute__((always_inline)) {
                F32 v = Load::template values<J, N>(page.values, p * dim + d);
                for (int i = 0; i < Q; i++) {
                    s[i][J] = fma(v, w[i], s[i][J]);
                }
            };
            unrolled<N>(lanes);
        }
        swap_halves();
        for (int i = 0; i < Q; i++) {
            for (int j = 0; j < N; j++) {
                store(queries[i].state.vector() + d + j * LANES, s[i][j]);
            }
        }
    };
    for (; d + 2 * R * LANES <= dim; d += 2 * R * LANES) {
        elements.template operator()<2 * R>();
    }
    for (; d < dim; d += LANES) {
        elements.template operator()<1>();
    }
}

template <int Q, class Load>
inline void add_page(const PageQuery* queries, const PageElements& page, const AttentionArgs& a, int64_t head_dim,
                     int64_t dim, float* scores) {
    scores_of<Q, Load>(queries, page, head_dim, scores);
    PageSums sums[Q];
    int from = PAGE;
    int to = 0;
    for (int i = 0; i < Q; i++) {
        sums[i] = softmax_page(queries[i], page, a, scores + i * PAGE);
        from = queries[i].from < from ? queries[i].from : from;
        to = queries[i].to > to ? queries[i].to : to;
    }
    weigh_values<Q, Load>(queries, page, dim, from, to, scores, sums);
}

inline float sum_of(const float* x, int64_t count) {
    F32 sum = zero();
    for_lanes(0, count, [&](int64_t i, int lanes) { sum = add(sum, load_lanes(x + i, lanes)); });
    return reduce_add(sum);
}

inline void reset_state(AttentionState state, int64_t dim) {
    state.maximum() = -__builtin_inff();
    state.sum() = 0;
    for (int64_t d = 0; d < dim; d += LANES) {
        store(state.vector() + d, zero());
    }
}

// Merges the state of a segment into that of the segments before it.
inline void merge_state(AttentionState state, AttentionState segment, int64_t dim) {
    float a = state.maximum();
    float b = segment.maximum();
    float maximum = a > b ? a : b;
    float ca = a == -__builtin_inff() ? 0 : exp(a - maximum);
    float cb = b == -__builtin_inff() ? 0 : exp(b - maximum);
    state.maximum() = maximum;
    state.sum() = state.sum() * ca + segment.sum() * cb;
    for (int64_t d = 0; d < dim; d += LANES) {
        F32 old = mul(load(state.vector() + d), set1(ca));
        store(state.vector() + d, fma(load(segment.vector() + d), set1(cb), old));
    }
}

inline void finish_state(const AttentionArgs& a, int64_t head, AttentionState state, int64_t head_dim, float* out) {
    const float beside = a.sinks == nullptr ? 0 : exp(a.sinks[head] - state.maximum());
    float inverse = 1 / (state.sum() + beside);
    for (int64_t d = 0; d < head_dim; d++) {
        out[d] = state.vector()[d] * inverse;
    }
}

inline int32_t first_position(const AttentionArgs& a, int64_t row) {
    int64_t position = a.rows->positions[row];
    if (a.window < 0) {
        return static_cast<int32_t>(position & a.window);
    }
    return static_cast<int32_t>(a.window == 0 || position < a.window ? 0 : position - a.window + 1);
}

inline int32_t last_position(const AttentionArgs& a, int64_t row) {
    const int64_t position = a.rows->positions[row] + a.ahead;
    return position < a.rows->ends[row] ? static_cast<int32_t>(position) : a.rows->ends[row];
}

constexpr int MOST_QUERIES = LANES == 16 ? PAGE_QUERIES : 3;  // whose sums fit the registers
constexpr int FEW_QUERIES = LANES == 16 ? 4 : 3;

// One task: the query heads of one KV head by a block.
struct AttentionTask {
    const AttentionArgs& a;
    const AttentionBlock& block;
    int64_t kv_head;
    int64_t heads_per_kv;  // query heads per KV head
    int64_t dim;           // padded elements
    int64_t state_size;
    float* pages;     // two widened pages
    float* words;     // scales and minimums of a page
    float* scores;    // of up to PAGE_QUERIES queries
    float* totals;    // states of all segments so far: [row][query]
    float* segments;  // states of the segment: [row][query]

    AttentionState state(float* states, int64_t row, int64_t h) const {
        return {states + ((row - block.first) * heads_per_kv + h) * state_size};
    }

    const float* query(int64_t row, int64_t h) const {
        return a.q + (row * a.heads + kv_head * heads_per_kv + h) * a.kv->head_dim;
    }

    // Pages [from, to) in positions of one segment, for all rows that see some of it.
    void segment(int64_t from, int64_t to) {
        for (int64_t row = block.first; row < block.last; row++) {
            for (int64_t h = 0; h < heads_per_kv; h++) {
                reset_state(state(segments, row, h), dim);
                if (a.kv->type == KvType::INT4) {
                    state(segments, row, h).query_sum() = sum_of(query(row, h), a.kv->head_dim);
                }
            }
        }
        const int32_t* table = a.rows->pages[block.first];
        // A few queries read elements as they are; for many they are widened once.
        const bool few = (block.last - block.first) * heads_per_kv <= FEW_QUERIES &&
                         (a.kv->key_scales == nullptr || a.kv->scale_groups() == 1);
        with_load(a.kv->type, [&](auto element_load) {
            using Load = decltype(element_load);
            for (int64_t page = from / PAGE; page * PAGE < to; page++) {
                const int32_t next = (page + 1) * PAGE < to ? table[page + 1] : table[page];
                const PageElements elements = page_elements(*a.kv, a.layer, table[page], next, kv_head, words);
                if (few) {
                    add_page_to_rows<FEW_QUERIES, Load>(page, from, to, elements);
                } else {
                    add_page_to_rows<MOST_QUERIES, LoadF32>(page, from, to, widen_page<Load>(*a.kv, elements, pages));
                }
            }
        });
    }

    // MOST: queries that a page is taken to at once.
    template <int MOST, class Load>
    void add_page_to_rows(int64_t page, int64_t from, int64_t to, const PageElements& elements) {
        PageQuery waiting[MOST];
        int count = 0;
        for (int64_t row = block.first; row < block.last; row++) {
            int64_t begin = first_position(a, row) > from ? first_position(a, row) : from;
            int64_t end = last_position(a, row) + 1 < to ? last_position(a, row) + 1 : to;
            begin = begin < page * PAGE ? 0 : begin - page * PAGE;
            end = end > (page + 1) * PAGE ? PAGE : end - page * PAGE;
            if (begin >= end) {
                continue;
            }
            for (int64_t h = 0; h < heads_per_kv; h++) {
                waiting[count++] = {query(row, h), state(segments, row, h), static_cast<int>(begin),
                                    static_cast<int>(end)};
                if (count == MOST) {
                    add_page<MOST, Load>(waiting, elements, a, a.kv->head_dim, dim, scores);
                    count = 0;
                }
            }
        }
        add_page_to_some<MOST, Load>(waiting, count, elements);
    }

    template <int Q, class Load>
    void add_page_to_some(const PageQuery* queries, int count, const PageElements& elements) {
        for (; count >= Q; count -= Q, queries += Q) {
            add_page<Q, Load>(queries, elements, a, a.kv->head_dim, dim, scores);
        }
        if constexpr (Q > 1) {
            add_page_to_some<(Q > 4 ? 4 : Q - 1), Load>(queries, count, elements);
        }
    }

    // All segments of a block of rows, merged as they end.
    void run_rows() {
        int64_t from = first_position(a, block.first);
        int64_t to = last_position(a, block.last - 1) + 1;
        for (int64_t s = from / SEGMENT; s * SEGMENT < to; s++) {
            segment(s * SEGMENT > from ? s * SEGMENT : from, (s + 1) * SEGMENT < to ? (s + 1) * SEGMENT : to);
            for (int64_t row = block.first; row < block.last; row++) {
                const bool sees = last_position(a, row) >= s * SEGMENT && first_position(a, row) < (s + 1) * SEGMENT;
                for (int64_t h = 0; sees && h < heads_per_kv; h++) {
                    AttentionState total = state(totals, row, h);
                    if (s == first_position(a, row) / SEGMENT) {
                        std::memcpy(total.at, state(segments, row, h).at, static_cast<size_t>(state_size) * 4);
                    } else {
                        merge_state(total, state(segments, row, h), dim);
                    }
                }
            }
        }
        for (int64_t row = block.first; row < block.last; row++) {
            for (int64_t h = 0; h < heads_per_kv; h++) {
                const int64_t head = kv_head * heads_per_kv + h;
                float* out = a.out + (row * a.heads + head) * a.kv->head_dim;
                finish_state(a, head, state(totals, row, h), a.kv->head_dim, out);
            }
        }
    }

    // One segment of a row that stands alone; its states go to the shared ones, [segment][head].
    void run_segment() {
        int64_t first = first_position(a, block.first);
        int64_t last = last_position(a, block.first) + 1;
        int64_t from = block.segment * SEGMENT;
        int64_t to = from + SEGMENT;
        segments = a.states + (block.state * a.heads + kv_head * heads_per_kv) * state_size;
        segment(from > first ? from : first, to < last ? to : last);
    }
};

inline void attention(const Command& command, int task, Worker& worker) {
    const AttentionArgs& a = command.attention;
    int64_t heads = a.kv->heads;
    const AttentionBlock& block = a.blocks[a.block_count - 1 - task / heads];  // later blocks see more positions
    int64_t dim = a.kv->padded();
    int64_t heads_per_kv = a.heads / heads;
    float* scratch = reinterpret_cast<float*>(worker.scratch);
    float* words = scratch + 2 * dim * PAGE;
    float* scores = words + 4 * a.kv->scale_groups() * PAGE;
    float* totals = scores + PAGE_QUERIES * PAGE;
    int64_t size = STATE_HEADER + dim;
    AttentionTask run{a,
                      block,
                      task % heads,
                      heads_per_kv,
                      dim,
                      size,
                      scratch,
                      words,
                      scores,
                      totals,
                      totals + QUERY_BLOCK * heads_per_kv * size};
    if (block.segment >= 0) {
        run.run_segment();
    } else {
        run.run_rows();
    }
}

inline void attention_merge(const Command& command, int task, Worker&) {
    const AttentionArgs& a = command.attention;
    const AttentionBlock& block = a.blocks[task];
    int64_t dim = a.kv->padded();
    int64_t size = STATE_HEADER + dim;
    for (int64_t head = 0; block.merged > 0 && head < a.heads; head++) {
        AttentionState state{a.states + (block.state * a.heads + head) * size};
        for (int i = 1; i < block.merged; i++) {
            merge_state(state, {state.at + i * a.heads * size}, dim);
        }
        finish_state(a, head, state, a.kv->head_dim, a.out + (block.first * a.heads + head) * a.kv->head_dim);
    }
}

}  // namespace demitasse::DM_ISA
