// Few rows of activations by a matrix: what gemv_int4.cl, gemv_int8.cl, gemv_levels.cl and gemv_float.cl are made of,
// which say what it computes. Macros: those of add_group.h.
#include "products.h"

// Rows of activations, in global memory.
typedef struct Inputs {
    global const uchar* memory;
    const LinearArgs* a;
    int first_row;
    int group;
} Inputs;

int row_of(const Inputs* inputs, int r) { return min(inputs->first_row + r, (int)inputs->a->rows - 1); }

#if EXACT
float4 float_input(const Inputs* inputs, int r, int j) {
    global const float* row = READ(float, inputs->memory, inputs->a->x) + row_of(inputs, r) * inputs->a->columns;
    return load_columns(row, inputs->group * INPUT_GROUP + 4 * j, (int)inputs->a->columns);
}
#else
Input input(const Inputs* inputs, int r, int j) {
    const long group = (long)row_of(inputs, r) * input_groups(inputs->a->columns) + inputs->group;
    return input_of(READ(uint, inputs->memory, inputs->a->x)[group * (INPUT_GROUP / 4) + j]);
}

InputGroup input_group(const Inputs* inputs, int r) {
    const long group = (long)row_of(inputs, r) * input_groups(inputs->a->columns) + inputs->group;
    return READ(InputGroup, inputs->memory, inputs->a->groups)[group];
}
#endif

#include "add_group.h"

#define LANES (BLOCK_OUTPUTS / WIDTH)

KERNEL(LANES* SEGMENTS)
GEMV(global const uchar* x, global const uchar* weights0, global const uchar* weights1, global const uchar* weights2,
     global const uchar* bias0, global const uchar* bias1, global const uchar* bias2, global uchar* out0,
     global uchar* out1, global uchar* out2, GROUP_TILES const LinearBatch batch) {
    local Sums partials[ROWS * SEGMENTS * LANES];
    int block = (int)get_group_id(0);
    const int matrix = matrix_of(&batch, &block);
#if GROUPED
    const GroupTile tile = READ(GroupTile, group_tiles, batch.tiles)[get_group_id(1)];
    const LinearArgs a = args_of_group(linear_args(&batch, matrix), tile);
    const int first_row = tile.begin;
#else
    const LinearArgs a = linear_args(&batch, matrix);
    const int first_row = (int)get_group_id(1) * ROWS;
#endif
    const int segment = item() / LANES;
    const Weights weights = {matrix == 0 ? weights0 : matrix == 1 ? weights1 : weights2, &a, block,
                             item() % LANES * WIDTH, input_groups(a.columns)};
    const int segments = row_segments(weights.groups);
    Sums sums[ROWS];
    for (int r = 0; r < ROWS; r++) {
        sums[r] = 0;
    }
    if (segment < segments && first_row < a.rows) {
        Inputs inputs = {x, &a, first_row, segment * weights.groups / segments};
        for (const int end = (segment + 1) * weights.groups / segments; inputs.group < end; inputs.group++) {
            add_group(&weights, &inputs, inputs.group, sums);
        }
    }
    for (int r = 0; r < ROWS; r++) {
        partials[(r * SEGMENTS + segment) * LANES + item() % LANES] = sums[r];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = item(); i < ROWS * LANES; i += LANES * SEGMENTS) {
        const int row = first_row + i / LANES;
        if (row < a.rows) {
            Sums sum = 0;
            for (int s = 0; s < segments; s++) {
                sum += partials[(i / LANES * SEGMENTS + s) * LANES + i % LANES];
            }
            const long output = (long)block * BLOCK_OUTPUTS + i % LANES * WIDTH;
            store_results(&a, matrix == 0 ? bias0 : matrix == 1 ? bias1 : bias2,
                          matrix == 0 ? out0 : matrix == 1 ? out1 : out2, row, output,
                          results_of(&weights, x, row, sum));
        }
    }
}
