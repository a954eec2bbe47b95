// Sequences of one case of attention in a cache, what its kernels give for their new rows, and the same in FP64.
#pragma once

#include <cmath>

#include "checks.h"
#include "demitasse/pages.cuh"
#include "native/tests/cases.h"

namespace demitasse::test {

struct CacheType {
    const char* name;
    int bits;
    bool scaled;
};

// Keys and values of all positions, in pages out of order, and queries of the new rows of all sequences.
struct AttentionTest {
    const AttentionCase& shape;
    const CacheType type;
    const int heads, kv_heads, dim;
    const int padded = padded_dim(dim);
    const int query_heads = heads / kv_heads;  // of a KV head
    int64_t segments = 1;
    std::string decode, prefill;  // kernels
    std::vector<uint8_t> keys, values;
    std::vector<float> key_scales, value_scales, k, v, q, states;
    std::vector<int32_t> positions, tables;          // of all positions, in the order of k and v
    std::vector<int32_t> new_positions, new_tables;  // of the new rows
    std::vector<int32_t> first_positions, ends;      // of a new row's sequence, in the order of k and v
    std::vector<int32_t> pages;
    KvPages kv{};

    AttentionTest(const AttentionCase& attention, const CacheType& cache, std::mt19937& random)
        : shape(attention),
          type(cache),
          heads(static_cast<int>(shape.heads)),
          kv_heads(static_cast<int>(shape.kv_heads)),
          dim(static_cast<int>(shape.head_dim)) {
        prefill = std::string("attention_prefill_") + type.name + "_dim" + std::to_string(prefill_dim(padded));
        decode = std::string("attention_decode_") + type.name + "_heads" + std::to_string(width());
        const bool one_dim = type.bits == 32 && dim <= 256;  // whose name says none
        decode += one_dim ? "" : "_dim" + std::to_string(decode_dim(type.bits, dim));
        for (size_t s = 0; s < shape.past.size(); s++) {
            add_sequence(shape.past[s], shape.rows[s]);
        }
        const auto page_count = static_cast<int>(pages.size());
        for (int& page : pages) {
            page = page_count - 1 - page;
        }
        const auto blocks_of_heads = static_cast<size_t>(page_count) * static_cast<size_t>(kv_heads) * PAGE;
        keys.resize(blocks_of_heads * static_cast<size_t>(padded * type.bits / 8));
        values.resize(keys.size());
        key_scales.resize(type.scaled ? blocks_of_heads * static_cast<size_t>(scale_groups(dim)) : 0);
        value_scales.resize(key_scales.size());
        const auto rows = static_cast<int64_t>(new_positions.size());
        states.resize(static_cast<size_t>(rows * heads * segments * (STATE_HEADER + padded)));
        k = normal_numbers(static_cast<int64_t>(positions.size()) * kv_heads * dim, random);
        v = normal_numbers(static_cast<int64_t>(k.size()), random);
        q = normal_numbers(rows * heads * dim, random);
        kv = {keys.data(),
              values.data(),
              type.scaled ? key_scales.data() : nullptr,
              type.scaled ? value_scales.data() : nullptr,
              page_count,
              kv_heads,
              dim};
    }

    // There is room for a position more at least.
    void add_sequence(int past, int rows) {
        const auto table = static_cast<int32_t>(pages.size());
        const auto first = static_cast<int32_t>(positions.size());
        for (int i = 0; i <= (past + rows) / PAGE; i++) {
            pages.push_back(static_cast<int32_t>(pages.size()));
        }
        for (int position = 0; position < past + rows; position++) {
            positions.push_back(position);
            tables.push_back(table);
            if (position >= past) {
                new_positions.push_back(position);
                new_tables.push_back(table);
                first_positions.push_back(first);
                ends.push_back(past + rows - 1);
            }
        }
        segments = std::max<int64_t>(segments, (past + rows + SEGMENT - 1) / SEGMENT);
    }

    int width() const { return decode_heads(type.bits, query_heads); }

    // The first position of each sequence gets nearly all the weight, and values of zero.
    void make_sink() {
        for (size_t i = 0; i < q.size(); i += static_cast<size_t>(dim)) {
            q[i] = 8;
        }
        for (size_t i = 0; i < positions.size(); i++) {
            for (int h = 0; positions[i] == 0 && h < kv_heads; h++) {
                const size_t at =
                    (i * static_cast<size_t>(kv_heads) + static_cast<size_t>(h)) * static_cast<size_t>(dim);
                k[at] = 10;
                std::fill_n(v.begin() + static_cast<std::ptrdiff_t>(at), dim, 0.0f);
            }
        }
    }

    void append() { append(positions, tables, k, v); }

    // Fills what is behind the first new row, in its sequence's pages.
    void append_behind_first(float value) {
        const int first = new_positions[0] + 1;
        const int end = round_up(shape.past[0] + shape.rows[0] + 1, PAGE);
        std::vector<int32_t> behind;
        for (int position = first; position < end; position++) {
            behind.push_back(position);
        }
        const std::vector<float> stale(behind.size() * static_cast<size_t>(kv_heads * dim), value);
        append(behind, std::vector<int32_t>(behind.size(), new_tables[0]), stale, stale);
    }

    void append(const std::vector<int32_t>& at, const std::vector<int32_t>& at_tables,
                const std::vector<float>& new_keys, const std::vector<float>& new_values) {
        std::vector<float> turned = new_keys;  // kv_append may change both, in place
        std::vector<float> rotated = new_values;
        const BatchRows rows{at.data(), at_tables.data(), pages.data()};
        run(std::string("kv_append_") + type.name,
            {static_cast<unsigned>(at.size()), static_cast<unsigned>(kv_heads), 1}, APPEND_THREADS, 0,
            KvAppendArgs{kv, 0, turned.data(), rotated.data(), rows, {}, nullptr, 0, 0});
    }

    AttentionArgs arguments(float* out) {
        AttentionArgs a{};
        a.q = q.data();
        a.kv = kv;
        a.heads = heads;
        a.scale = {0.125f};
        a.soft_cap = {shape.soft_cap};
        a.window = shape.window;
        a.ahead = shape.ahead;
        a.rows = {new_positions.data(), new_tables.data(), pages.data()};
        a.ends = ends.data();
        a.out = out;
        a.states = states.data();
        a.segments = segments;
        return a;
    }

    // The first `count` of the new rows.
    std::vector<float> by_decode(int count) {
        std::vector<float> out(static_cast<size_t>(count * heads * dim));
        const AttentionArgs a = arguments(out.data());
        const auto rows = static_cast<unsigned>(count);
        const unsigned head_blocks = static_cast<unsigned>(kv_heads) * blocks(query_heads, width());
        std::vector<uint32_t> counters(head_blocks * rows);
        const auto splits = 1 + static_cast<unsigned>(emulator::settings.seed + rows) % static_cast<unsigned>(segments);
        run(decode, {head_blocks, rows, splits}, static_cast<unsigned>(decode_threads(type.bits)), 0,
            AttentionDecodeArgs{a, counters.data(), {}});
        check(counters == std::vector<uint32_t>(counters.size()), decode + ": counters are not zero afterwards");
        return out;
    }

    // Rows of heads that have no such kernel are decoded.
    std::vector<float> by_prefill(int count) {
        if (dim > MOST_PREFILL_DIM) {
            return by_decode(count);
        }
        std::vector<float> out(static_cast<size_t>(count * heads * dim));
        std::vector<int32_t> row_blocks;
        for (int first = 0; first < count;) {
            int end = first + 1;
            while (end < std::min(count, first + PREFILL_ROWS) && new_tables[at(end)] == new_tables[at(first)]) {
                end++;
            }
            row_blocks.insert(row_blocks.end(), {first, end - first, 0, 0});
            first = end;
        }
        AttentionArgs a = arguments(out.data());
        a.blocks = row_blocks.data();
        run(prefill, {static_cast<unsigned>(heads), static_cast<unsigned>(row_blocks.size() / PREFILL_WORDS), 1},
            PREFILL_THREADS, static_cast<size_t>(prefill_shared_bytes(prefill_dim(padded))), a);
        return out;
    }

    static size_t at(int i) { return static_cast<size_t>(i); }

    // A new row in FP64, over keys and values as they are stored where they have no scales.
    std::vector<double> exact(int row) const {
        const int first = first_positions[at(row)];
        const int position = new_positions[at(row)];
        const auto window = static_cast<int>(shape.window);
        const int last =
            shape.ahead == 0 ? position : std::min(position + static_cast<int>(shape.ahead), ends[at(row)]);
        const double cap = shape.soft_cap;
        auto stored = [&](const std::vector<float>& x, int t, int h, int d) {
            const float value = x[at(((first + t) * kv_heads + h / query_heads) * dim + d)];
            return static_cast<double>(type.bits == 16 ? fp16_to_float(float_to_fp16(value)) : value);
        };
        std::vector<double> right;
        for (int h = 0; h < heads; h++) {
            std::vector<double> sum(at(dim));
            double weights = 0;
            for (int t = window < 0    ? position / -window * -window
                         : window == 0 ? 0
                                       : std::max(0, position - window + 1);
                 t <= last; t++) {
                double score = 0;
                for (int d = 0; d < dim; d++) {
                    score += 0.125 * q[at((row * heads + h) * dim + d)] * stored(k, t, h, d);
                }
                const double weight = std::exp(cap == 0 ? score : cap * std::tanh(score / cap));
                weights += weight;
                for (int d = 0; d < dim; d++) {
                    sum[at(d)] += weight * stored(v, t, h, d);
                }
            }
            for (double s : sum) {
                right.push_back(s / weights);
            }
        }
        return right;
    }
};

}  // namespace demitasse::test
