// Computes: out[i] = scale table[ids[i]].
// Layout:   the table as weights.h says; ids in device memory; out rows x
//           columns FP32.
// Requires: ids within the table; a negative one counts as 0.
// Accuracy: FP32; 16-bit elements are widened exactly.
// Launch:   (columns / 256, rows) work-groups of 256 items, an item an element.
// Moves:    a row of the table read, 4 bytes written an element.
// Why:      bound by the launch: few rows a step, wherever they lie.
#include "weights.h"

typedef struct EmbedArgs {
    long element;
    long weights;
    long scales;
    long mins;
    long group;  // columns that share a scale, 16 or 32; 0 for the whole row
    long fp16_scales;
    long levels[2];  // eight a number
    long columns;
    long first;  // row of the table that is here, of so many; others are in launches of their own
    long rows;
    long ids;
    Real scale;
    long out;
} EmbedArgs;

int element_bits(long element) {
    switch (element) {
        case ELEMENT_F32:
            return 32;
        case ELEMENT_INT8:
            return 8;
        case ELEMENT_INT4:
        case ELEMENT_LEVELS:
            return 4;
        default:
            return 16;
    }
}

// Element k of a group's words, of an output of which they are every 16th.
float group_element(global const uchar* group, const EmbedArgs* a, int k) {
    const int line = BLOCK_OUTPUTS * 4;  // bytes from word to word
    switch (a->element) {
        case ELEMENT_F32:
            return *(global const float*)(group + k * line);
        case ELEMENT_F16:
            return vload_half((size_t)(k % 2), (global const half*)(group + k / 2 * line));
        case ELEMENT_BF16:
            return bf16_to_float(((global const ushort*)(group + k / 2 * line))[k % 2]);
        case ELEMENT_INT8:
            return (float)(char)group[k / 4 * line + k % 4];
        case ELEMENT_LEVELS: {
            const int place = group[k % 16 / 4 * line + k % 4] >> k / 16 * 4 & 15;
            return (float)(char)(a->levels[place / 8] >> place % 8 * 8);
        }
        default:
            return (float)((char)(uchar)(group[k % 16 / 4 * line + k % 4] << (4 - k / 16 * 4)) >> 4);
    }
}

float table_element(global const uchar* table, const EmbedArgs* a, long row, int k) {
    const long group = row / BLOCK_OUTPUTS * input_groups(a->columns) + k / INPUT_GROUP;
    const long bytes = element_bits(a->element) * BLOCK_OUTPUTS * 4;
    const int output = (int)(row % BLOCK_OUTPUTS);
    const float q = group_element(table + a->weights + group * bytes + output * 4, a, k % INPUT_GROUP);
    if (a->element < ELEMENT_INT8) {
        return q;
    }
    const long reaches = a->group == 0 ? 0 : INPUT_GROUP / a->group;
    const long scale =
        reaches == 0 ? row : (group * reaches + k % INPUT_GROUP / a->group) * BLOCK_OUTPUTS + output;
    const bool fp16 = a->fp16_scales != 0;
    const float s = weight_number(table, a->scales, scale, fp16);
    return is_there(a->mins)
               ? s * (q + (a->element == ELEMENT_INT4 ? 8 : 0)) + weight_number(table, a->mins, scale, fp16)
               : s * q;
}

KERNEL(ROW_ITEMS) embed(global const uchar* table, global const uchar* ids, global uchar* out, const EmbedArgs a) {
    const long to = (long)get_group_id(1);
    const long id = READ(int, ids, a.ids)[to];
    const long row = (id < 0 ? 0 : id) - a.first;  // where sample found no token, nobody wants the row
    const int k = (int)get_global_id(0);
    if (k < a.columns && row >= 0 && row < a.rows) {
        WRITE(float, out, a.out)[to * a.columns + k] = a.scale.value * table_element(table, &a, row, k);
    }
}
