// Computes: out[i] = scale table[ids[i]].
// Layout:   the table as weights.h says, or rows in order of FP32, FP16 or BF16; ids in device memory; out rows x
//           columns FP32.
// Requires: ids within the table; a negative one counts as 0.
// Accuracy: FP32; 16-bit elements are widened exactly.
// Launch:   (columns / 256, rows) work-groups of 256 items, an item an element.
// Moves:    a row of the table read, 4 bytes written an element.
// Why:      bound by the launch: few rows a step, wherever they lie.
#include "weights.h"

enum Table { TABLE_F32, TABLE_F16, TABLE_BF16, TABLE_INT8, TABLE_INT4 };

typedef struct EmbedArgs {
    long element;
    long weights;
    long scales;
    long mins;
    long stride;  // floating point: bytes of a row
    long tiles;   // integers: tiles of a row
    long group;   // integers: columns that share a scale, 16 or 32; 0 for the whole row
    long fp16_scales;
    long columns;
    long ids;
    Real scale;
    long out;
} EmbedArgs;

float integer_element(global const uchar* table, const EmbedArgs* a, long row, int k, int bits) {
    const int columns = tile_columns(bits);
    const long tile = row / TILE_OUTPUTS * a->tiles + k / columns;
    const int in_tile = k % columns;
    const int in_group = in_tile % 32;
    global const uchar* at =
        table + a->weights + tile * TILE_BYTES + chunk_offset((int)(row % TILE_OUTPUTS), in_group % 16 / 4);
    int q;
    if (bits == 8) {
        q = (char)at[in_tile / 32 * 8 + in_group / 16 * 4 + k % 4];
    } else {
        q = (char)(uchar)(at[in_tile / 32 * 4 + k % 4] << (4 - in_group / 16 * 4)) >> 4;
        q += is_there(a->mins) ? 8 : 0;
    }
    const long groups = a->group == 0 ? 1 : columns / a->group;
    const long scale = a->group == 0 ? row : (tile * TILE_OUTPUTS + row % TILE_OUTPUTS) * groups + in_tile / a->group;
    const float value = weight_number(table, a->scales, scale, a->fp16_scales != 0) * (float)q;
    return is_there(a->mins) ? value + weight_number(table, a->mins, scale, a->fp16_scales != 0) : value;
}

float table_element(global const uchar* table, const EmbedArgs* a, long row, int k) {
    const long begin = a->weights + row * a->stride;
    switch (a->element) {
        case TABLE_F32:
            return READ(float, table, begin)[k];
        case TABLE_F16:
            return vload_half((size_t)k, READ(half, table, begin));
        case TABLE_BF16:
            return bf16_to_float(READ(ushort, table, begin)[k]);
        case TABLE_INT8:
            return integer_element(table, a, row, k, 8);
        default:
            return integer_element(table, a, row, k, 4);
    }
}

KERNEL(ROW_ITEMS) embed(global const uchar* table, global const uchar* ids, global uchar* out, const EmbedArgs a) {
    const long to = (long)get_group_id(1);
    const long id = READ(int, ids, a.ids)[to];
    const long row = id < 0 ? 0 : id;  // sample found no token; nobody wants the row
    const int k = (int)get_global_id(0);
    if (k < a.columns) {
        WRITE(float, out, a.out)[to * a.columns + k] = a.scale.value * table_element(table, &a, row, k);
    }
}
