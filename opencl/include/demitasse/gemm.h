// Many rows of activations by a matrix: what gemm_int4.cl, gemm_int8.cl, gemm_levels.cl and gemm_float.cl are made of,
// which say what it computes. Macros: those of add_group.h, but for ROWS.
#include "products.h"

#define ROWS ITEM_ROWS
#define LANES (GEMM_OUTPUTS / WIDTH)
#define ITEMS (LANES * (GEMM_ROWS / ITEM_ROWS))
#define STAGE (EXACT ? 2 : 4)  // groups of columns that are in local memory at once
#define ROW_WORDS (STAGE * INPUT_GROUP / 4)

// Activations of an item's rows, in local memory.
typedef struct Inputs {
#if EXACT
    local const float4* columns;  // [row][group][four columns]
#else
    local const Input* columns;
    local const InputGroup* groups;  // [row][group]
#endif
    int row;
    int group;
} Inputs;

#if EXACT
float4 float_input(const Inputs* inputs, int r, int j) {
    return inputs->columns[(inputs->row + r) * ROW_WORDS + inputs->group * (INPUT_GROUP / 4) + j];
}
#else
Input input(const Inputs* inputs, int r, int j) {
    return inputs->columns[(inputs->row + r) * ROW_WORDS + inputs->group * (INPUT_GROUP / 4) + j];
}

InputGroup input_group(const Inputs* inputs, int r) {
    return inputs->groups[(inputs->row + r) * STAGE + inputs->group];
}
#endif

#include "add_group.h"

KERNEL(ITEMS)
GEMM(global const uchar* x, global const uchar* weights0, global const uchar* weights1, global const uchar* weights2,
     global const uchar* bias0, global const uchar* bias1, global const uchar* bias2, global uchar* out0,
     global uchar* out1, global uchar* out2, GROUP_TILES const LinearBatch batch) {
#if EXACT
    local float4 columns[GEMM_ROWS * ROW_WORDS];
#else
    local Input columns[GEMM_ROWS * ROW_WORDS];
    local InputGroup groups[GEMM_ROWS * STAGE];
#endif
    int block = (int)get_group_id(0);
    const int matrix = matrix_of(&batch, &block);
#if GROUPED
    const GroupTile tile = READ(GroupTile, group_tiles, batch.tiles)[get_group_id(1)];
    const LinearArgs a = args_of_group(linear_args(&batch, matrix), tile);
    const int first_row = tile.begin;
#else
    const LinearArgs a = linear_args(&batch, matrix);
    const int first_row = (int)get_group_id(1) * GEMM_ROWS;
#endif
    const long first_output = (long)block * GEMM_OUTPUTS + item() % LANES * WIDTH;
    const int count = input_groups(a.columns);
    const int segments = row_segments(count);
    const Weights weights = {matrix == 0 ? weights0 : matrix == 1 ? weights1 : weights2, &a,
                             min(first_output, a.outputs - 1) / BLOCK_OUTPUTS, (int)(first_output % BLOCK_OUTPUTS),
                             count};
#if EXACT
    Inputs inputs = {columns, item() / LANES * ITEM_ROWS, 0};
#else
    Inputs inputs = {columns, groups, item() / LANES * ITEM_ROWS, 0};
#endif
    const bool has_rows = first_row + inputs.row < a.rows;
    Sums totals[ROWS];
    Sums sums[ROWS];
    for (int r = 0; r < ROWS; r++) {
        totals[r] = 0;
        sums[r] = 0;
    }
    int segment = 0;
    for (int first = 0; first < count; first += STAGE) {
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int i = item(); i < GEMM_ROWS * ROW_WORDS; i += ITEMS) {
            const long row = min(first_row + i / ROW_WORDS, (int)a.rows - 1);
            const int k = first * INPUT_GROUP + i % ROW_WORDS * 4;
#if EXACT
            columns[i] = load_columns(READ(float, x, a.x) + row * a.columns, k, (int)a.columns);
#else
            const bool has_column = k < count * INPUT_GROUP;
            columns[i] = input_of(has_column ? READ(uint, x, a.x)[(row * count * INPUT_GROUP + k) / 4] : 0);
#endif
        }
#if !EXACT
        for (int i = item(); i < GEMM_ROWS * STAGE; i += ITEMS) {
            const long row = min(first_row + i / STAGE, (int)a.rows - 1);
            groups[i] = READ(InputGroup, x, a.groups)[row * count + min(first + i % STAGE, count - 1)];
        }
#endif
        barrier(CLK_LOCAL_MEM_FENCE);
        const int end = has_rows ? min(first + STAGE, count) : 0;
        for (int g = first; g < end; g++) {
            inputs.group = g - first;
            add_group(&weights, &inputs, g, sums);
            if (g + 1 == (segment + 1) * count / segments) {
                segment++;
                for (int r = 0; r < ROWS; r++) {
                    totals[r] += sums[r];
                    sums[r] = 0;
                }
            }
        }
    }
    if (first_output >= a.outputs) {
        return;
    }
    for (int r = 0; r < ROWS && first_row + inputs.row + r < a.rows; r++) {
        const int row = first_row + inputs.row + r;
        store_results(&a, matrix == 0 ? bias0 : matrix == 1 ? bias1 : bias2,
                      matrix == 0 ? out0 : matrix == 1 ? out1 : out2, row, first_output,
                      results_of(&weights, x, row, totals[r]));
    }
}
