// How weights and quantized activations lie in memory.
//
// Weights lie in blocks of 16 outputs, side by side: [block][group of 32 columns][word][output], words of 32 bits, so
// that items that stand for outputs read whole lines, and an item may have any number of neighboring outputs as a
// vector. The words of an output and a group, as many as an element has bits:
//
//   INT4     4; word c has columns 4 c to 4 c + 3 in the low nibbles of its bytes, and those 16 further in the high
//            ones. A nibble is n = q - 8 as a signed integer
//   LEVELS   4; as INT4, but a nibble is the place of an INT8 among sixteen levels, which the program brings along
//   INT8     8; word j has columns 4 j to 4 j + 3
//   16 bits  16; word j has columns 2 j and 2 j + 1
//   FP32     32
//
// Integers are s n, or with minimums s q + m. Scales and minimums: [block][16 or 32 columns][output], FP16 or FP32;
// weights with one scale a row have [output]. Columns and outputs beyond the matrix are zeros.
//
// Activations: rows of bytes in order, padded to 32 columns with zeros, and [row][group] scales and sums.
//
// The groups of a row are cut into at most SEGMENTS segments, by their number alone. They are folded one after the
// other within a segment, and segments added in their order, whatever computes them.
#include "output.h"

enum Product { PRODUCT_SHORT, PRODUCT_DOT };
enum Element { ELEMENT_F32, ELEMENT_F16, ELEMENT_BF16, ELEMENT_INT8, ELEMENT_INT4, ELEMENT_LEVELS };

// A group of a row of activations, beside its integers.
typedef struct InputGroup {
    float scale;
    uint sums16;  // sums of 16 columns each, as 16-bit integers
} InputGroup;

// The sum of the i-th 16 columns.
int sum16(uint sums, int i) { return (short)(sums >> 16 * i); }
int sum32(uint sums) { return sum16(sums, 0) + sum16(sums, 1); }

// Up to some rows of a group, from `begin` on; none where `end` is `begin`, which is 1 then. A list of them in device
// memory says which rows of a grouped product meet which of its matrices.
typedef struct GroupTile {
    int group;
    int begin;
    int end;
    int unused;
} GroupTile;

// One of up to three matrices with the same activations; offsets into their buffers.
typedef struct LinearArgs {
    long elements;
    long scales;
    long mins;
    long fp16_scales;
    long outputs;
    long columns;
    long x;       // FP32 activations, rows x columns, or their integers
    long groups;  // of integers: [row][group]
    long rows;
    long bias;
    long out;
    long out_stride;  // numbers from row to row
    long out_type;
    long group_stride;  // bytes from a group's weights to the next one's; biases follow each other
} LinearArgs;

// The matrix of a tile's group; rows are those of all groups, up to the tile's last.
LinearArgs args_of_group(LinearArgs a, GroupTile tile) {
    const long offset = tile.group * a.group_stride;
    a.elements += offset;
    a.scales += is_there(a.scales) ? offset : 0;
    a.mins += is_there(a.mins) ? offset : 0;
    a.bias += is_there(a.bias) ? tile.group * a.outputs * 4 : 0;
    a.rows = tile.end;
    return a;
}

// Matrices of the same kind, in one launch: work-groups along the first dimension take the outputs of the first, then
// of the second, ...
typedef struct LinearBatch {
    LinearArgs each[3];
    long blocks[3];
    long tiles;  // of a grouped product, one for each work-group along the second dimension
} LinearBatch;

// GROUPED, 1: rows are of groups, and a kernel takes a list of tiles before its structure.
#if GROUPED
#define GROUP_TILES global const uchar *group_tiles,
#else
#define GROUP_TILES
#endif

// The matrix of a work-group, which becomes its number within it. By constant indices, so that arguments need no memory
// of a work-item's own.
int matrix_of(const LinearBatch* batch, int* block) {
    if (*block < batch->blocks[0]) {
        return 0;
    }
    *block -= (int)batch->blocks[0];
    if (*block < batch->blocks[1]) {
        return 1;
    }
    *block -= (int)batch->blocks[1];
    return 2;
}

LinearArgs linear_args(const LinearBatch* batch, int matrix) {
    return matrix == 0 ? batch->each[0] : matrix == 1 ? batch->each[1] : batch->each[2];
}

int input_groups(long columns) { return ((int)columns + INPUT_GROUP - 1) / INPUT_GROUP; }

float weight_number(global const uchar* memory, long offset, long at, bool fp16) {
    return fp16 ? vload_half((size_t)at, READ(half, memory, offset)) : READ(float, memory, offset)[at];
}
