// Few rows of activations by integer weights: what gemv_int4.cl and gemv_int8.cl are made of, which say what it
// computes. Macros:
//
//   BITS         of a weight
//   REACH        columns that share a scale: 16, 32, or 0 for a whole row
//   FP16_SCALES  1: scales and minimums are FP16, 0: FP32
//   MINIMUM      1: there are minimums
//   ROWS         of a work-group
//   EXACT        1: activations are FP32
#include "dot.h"
#include "weights.h"

#define TILE_COLUMNS (512 / BITS)
#define TILE_GROUPS (TILE_COLUMNS / INPUT_GROUP)
#define INPUT_TILES (TILE_COLUMNS / INPUT_COLUMNS)  // of activations that meet a tile of weights
#define FACTOR (BITS == 4 ? 16 : 1)                 // of integers as they are unpacked
#define SCALES (REACH == 16 ? 2 * TILE_GROUPS : TILE_GROUPS)
#define INTEGERS (REACH == 0 && !EXACT)  // sums of whole rows

#if INTEGERS
typedef int Partial;
#else
typedef float Partial;
#endif

// A row of a tile: its four chunks, in order.
typedef struct TileRow {
    uint4 chunks[4];
} TileRow;

TileRow load_row(global const uchar* tile, int row) {
    TileRow loaded;
    for (int c = 0; c < 4; c++) {
        loaded.chunks[c] = *(global const uint4*)(tile + chunk_offset(row, c));
    }
    return loaded;
}

uint word_of(uint4 chunk, int i) { return i == 0 ? chunk.x : i == 1 ? chunk.y : i == 2 ? chunk.z : chunk.w; }

// Word i of each chunk.
uint4 words_of(const TileRow* row, int i) {
    return (uint4)(word_of(row->chunks[0], i), word_of(row->chunks[1], i), word_of(row->chunks[2], i),
                   word_of(row->chunks[3], i));
}

// The first 16 columns of group g as bytes, and the second.
void unpack(const TileRow* row, int g, uint4* first, uint4* second) {
#if BITS == 8
    *first = words_of(row, 2 * g);
    *second = words_of(row, 2 * g + 1);
#else
    const uint4 words = words_of(row, g);
    *first = words << 4 & 0xF0F0F0F0u;
    *second = words & 0xF0F0F0F0u;
#endif
}

#if !EXACT

// sum + s_a (s_w sum(q_w q_a) + m_w sum(q_a)); products, input and sum are FACTOR times theirs.
float fold(float scale, float minimum, float products, float input, float activation, float sum) {
#if MINIMUM
    const float all = BITS == 4 ? fma(8, input, products) : products;  // exact
    return fma(fma(scale, all, minimum * input), activation, sum);
#else
    return fma(scale * products, activation, sum);
#endif
}

// A tile's share of an output's sums with ROWS rows from `first_row` on.
void add_tile(global const uchar* weights, global const uchar* inputs, const LinearArgs* a, int block, int tile,
              int output, int first_row, Partial* sums) {
    const TileRow w = load_row(weights + a->quants + ((long)block * a->tiles + tile) * TILE_BYTES, output);
    const long input_tiles = a->tiles * INPUT_TILES;
    for (int i = 0; i < INPUT_TILES; i++) {
        const long input_tile = (long)tile * INPUT_TILES + i;
        for (int r = 0; r < ROWS; r++) {
            const int row = min(first_row + r, (int)a->rows - 1);
            const TileRow x = load_row(
                inputs + a->x + (row / TILE_OUTPUTS * input_tiles + input_tile) * TILE_BYTES, row % TILE_OUTPUTS);
            const GroupPair pair = READ(GroupPair, inputs, a->groups)[row * input_tiles + input_tile];
            for (int half_tile = 0; half_tile < 2; half_tile++) {
                const int g = 2 * i + half_tile;
                uint4 w_first, w_second;
                unpack(&w, g, &w_first, &w_second);
                const uint4 x_first = words_of(&x, 2 * half_tile);
                const uint4 x_second = words_of(&x, 2 * half_tile + 1);
#if REACH == 0
                sums[r] += dot32(w_first, x_first, w_second, x_second);
#else
                const long scale = (((long)block * a->tiles + tile) * TILE_OUTPUTS + output) * SCALES;
                const uint sums16 = pair.sums16[half_tile];
#if REACH == 32
                const float s = weight_number(weights, a->scales, scale + g, FP16_SCALES);
                const float m = MINIMUM ? weight_number(weights, a->mins, scale + g, FP16_SCALES) : 0;
                sums[r] = fold(s, m, (float)dot32(w_first, x_first, w_second, x_second),
                               (float)(FACTOR * sum32(sums16)), pair.scales[half_tile], sums[r]);
#else
                for (int sixteen = 0; sixteen < 2; sixteen++) {
                    const long at = scale + 2 * g + sixteen;
                    const float s = weight_number(weights, a->scales, at, FP16_SCALES);
                    const float m = MINIMUM ? weight_number(weights, a->mins, at, FP16_SCALES) : 0;
                    const int products = sixteen == 0 ? dot16(w_first, x_first) : dot16(w_second, x_second);
                    sums[r] = fold(s, m, (float)products, (float)(FACTOR * sum16(sums16, sixteen)),
                                   pair.scales[half_tile], sums[r]);
                }
#endif
#endif
            }
        }
    }
}

#else

void add_tile(global const uchar* weights, global const uchar* inputs, const LinearArgs* a, int block, int tile,
              int output, int first_row, Partial* sums) {
    const TileRow w = load_row(weights + a->quants + ((long)block * a->tiles + tile) * TILE_BYTES, output);
    for (int g = 0; g < TILE_GROUPS; g++) {
        uint4 words[2];
        unpack(&w, g, &words[0], &words[1]);
        for (int sixteen = 0; sixteen < 2; sixteen++) {
#if REACH == 0
            const long at = min((long)block * TILE_OUTPUTS + output, a->outputs - 1);
#else
            const long at = (((long)block * a->tiles + tile) * TILE_OUTPUTS + output) * SCALES +
                            (REACH == 16 ? 2 * g + sixteen : g);
#endif
            const float scale = weight_number(weights, a->scales, at, FP16_SCALES);
            // s n, or s (n + 8) + m: what is added to each of them
            const float low =
                MINIMUM ? weight_number(weights, a->mins, at, FP16_SCALES) + (BITS == 4 ? 8 * scale : 0) : 0;
            for (int c = 0; c < 4; c++) {
                const int column = tile * TILE_COLUMNS + g * 32 + sixteen * 16 + c * 4;
                const float4 q = convert_float4(as_char4(word_of(words[sixteen], c)));
                for (int r = 0; r < ROWS; r++) {
                    const int row = min(first_row + r, (int)a->rows - 1);
                    global const float* of_row = READ(float, inputs, a->x) + row * a->columns;
                    const float4 x = load_columns(of_row, column, (int)a->columns);
                    const float products = fma(q.w, x.w, fma(q.z, x.z, fma(q.y, x.y, q.x * x.x)));
                    sums[r] = fma(scale * (1.0f / FACTOR), products, fma(low, x.x + x.y + x.z + x.w, sums[r]));
                }
            }
        }
    }
}

#endif

// A result, of what its segments have left in `partials` [row][segment][output].
float result_of(global const uchar* weights, global const uchar* inputs, const LinearArgs* a, int row, int output,
                int segments, local const Partial* partials) {
    Partial sum = partials[0];
    for (int s = 1; s < segments; s++) {
        sum += partials[s * TILE_OUTPUTS];
    }
#if INTEGERS
    const long input_tiles = a->tiles * INPUT_TILES;
    global const GroupPair* pairs = READ(GroupPair, inputs, a->groups) + row * input_tiles;
    const float scale = weight_number(weights, a->scales, output, FP16_SCALES);
    const int products = sum / FACTOR;
#if MINIMUM
    int input = 0;
    for (int i = 0; i < input_tiles; i++) {
        input += sum32(pairs[i].sums16[0]) + sum32(pairs[i].sums16[1]);
    }
    const float minimum = weight_number(weights, a->mins, output, FP16_SCALES);
    const float all = (float)(products + (BITS == 4 ? 8 * input : 0));
    return fma(fma(scale, all, minimum * (float)input), pairs->scales[0], 0.0f);
#else
    return scale * (float)products * pairs->scales[0];
#endif
#elif EXACT
    const bool is_broken = !is_finite(sum) && has_non_finite(READ(float, inputs, a->x) + row * a->columns, a->columns);
    return is_broken ? not_a_number() : sum;
#else
    return sum * (1.0f / FACTOR);
#endif
}

KERNEL(GEMV_ITEMS) GEMV(global const uchar* inputs, global const uchar* weights0, global const uchar* weights1,
                        global const uchar* weights2, global const uchar* bias0, global const uchar* bias1,
                        global const uchar* bias2, global uchar* out0, global uchar* out1, global uchar* out2,
                        const LinearBatch batch) {
    local Partial partials[ROWS * SEGMENTS * TILE_OUTPUTS];
    int block = (int)get_group_id(0);
    const int matrix = matrix_of(&batch, &block);
    const LinearArgs a = batch.each[matrix];
    global const uchar* weights = matrix == 0 ? weights0 : matrix == 1 ? weights1 : weights2;
    const int first_row = (int)get_group_id(1) * ROWS;
    const int output = item() % TILE_OUTPUTS;
    const int segment = item() / TILE_OUTPUTS;
    const int segments = row_segments((int)a.tiles);
    Partial sums[ROWS];
    for (int r = 0; r < ROWS; r++) {
        sums[r] = 0;
    }
    if (segment < segments) {
        const int end = (segment + 1) * (int)a.tiles / segments;
        for (int tile = segment * (int)a.tiles / segments; tile < end; tile++) {
            add_tile(weights, inputs, &a, block, tile, output, first_row, sums);
        }
    }
    for (int r = 0; r < ROWS; r++) {
        partials[r * GEMV_ITEMS + item()] = sums[r];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const int row = first_row + item() / TILE_OUTPUTS;
    const long at = (long)block * TILE_OUTPUTS + output;
    if (item() < ROWS * TILE_OUTPUTS && row < a.rows && at < a.outputs) {
        const float result = result_of(weights, inputs, &a, row, (int)at, segments,
                                       partials + item() / TILE_OUTPUTS * GEMV_ITEMS + output);
        global const uchar* bias = matrix == 0 ? bias0 : matrix == 1 ? bias1 : bias2;
        global uchar* out = matrix == 0 ? out0 : matrix == 1 ? out1 : out2;
        store_output(out, a.out, a.out_type, row * a.outputs + at,
                     is_there(a.bias) ? result + READ(float, bias, a.bias)[at] : result);
    }
}
