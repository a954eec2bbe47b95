// How integer weights and quantized activations lie in memory: the layouts of cuda/include/demitasse/weights.cuh.
//
// Both lie in tiles of 512 bytes, 8 rows of 64 bytes: weights 8 outputs by 64 (INT8) or 128 (INT4) columns,
// activations 8 rows by 64 columns. A row of a tile is four chunks of 16 bytes; chunk c of row r is the
// (c ^ r / 2 % 4)-th. For each group of 32 columns a chunk has columns 4 c to 4 c + 3, and those 16 further: INT8 as
// two words, INT4 as the low and the high nibbles of one. A nibble is n = q - 8 as a signed integer, so that it becomes
// a byte of 16 n by a shift and a mask; sums by groups are multiplied by 16 to the end, which changes no bit. Weights
// are s n, or with minimums s q + m.
//
// Scales and minimums: [tile][output][group], FP16 or FP32; a group is 32 or 16 columns. Weights with one scale a row
// have [output].
//
// The tiles of a row are cut into at most SEGMENTS segments, by the number of tiles alone. Groups are folded one after
// the other within a segment, and segments added in their order, whatever computes them.
#include "output.h"

// Where chunk c of row r of a tile lies.
int chunk_offset(int row, int c) { return row * 64 + (c ^ (row / 2 % 4)) * 16; }

// Two groups of 32 columns of a row of activations, beside their integers.
typedef struct GroupPair {
    float scales[2];
    uint sums16[2];  // sums of 16 columns each, as 16-bit integers
} GroupPair;

// The sum of the i-th 16 columns.
int sum16(uint sums, int i) { return (short)(sums >> 16 * i); }
int sum32(uint sums) { return sum16(sums, 0) + sum16(sums, 1); }

// One of up to three matrices with the same activations; offsets into their buffers.
typedef struct LinearArgs {
    long quants;
    long scales;
    long mins;
    long outputs;
    long tiles;   // of a row
    long x;       // FP32 activations, rows x columns, or integers in tiles, with zeros beyond the columns
    long groups;  // [row][tile of activations]
    long columns;
    long rows;
    long bias;
    long out;  // rows x outputs
    long out_type;
} LinearArgs;

// Matrices of the same kind, in one launch: work-groups along the first dimension take the outputs of the first, then
// of the second, ...
typedef struct LinearBatch {
    LinearArgs each[3];
    long blocks[3];
} LinearBatch;

// The matrix of a work-group, which becomes its number within it.
int matrix_of(const LinearBatch* batch, int* block) {
    int i = 0;
    while (i < LINEAR_BATCH - 1 && *block >= batch->blocks[i]) {
        *block -= (int)batch->blocks[i++];
    }
    return i;
}

float weight_number(global const uchar* memory, long offset, long at, bool fp16) {
    return fp16 ? vload_half((size_t)at, READ(half, memory, offset)) : READ(float, memory, offset)[at];
}
