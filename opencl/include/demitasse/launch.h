// The shapes of launches, and of what lies in memory: what the host must know to launch a kernel. The build turns this
// file into Java line by line, so it has nothing but constants of integers, and functions of one expression.
//
// Work-groups have at most 256 items and 32 KiB of local memory: what every device of OpenCL 1.2 has.

enum { ELEMENT_ITEMS = 256 };   // of the kernels of which an item has an element: add, rope, soft_cap, ...
enum { ROW_ITEMS = 256 };       // of those of which a work-group has a row
enum { QUANTIZE_ITEMS = 128 };  // quantize_rows; an item has four columns
enum { QUANTIZE_COLUMNS = 4 * QUANTIZE_ITEMS };
enum { NORM_ITEMS = 256 };  // rms_norm; an item has four columns, and again
enum { GATE_ITEMS = 128 };  // gated_activation; an item has four columns
enum { GATE_COLUMNS = 4 * GATE_ITEMS };
enum { SAMPLE_ITEMS = 256 };
enum { SAMPLE_COLUMNS = 512 * 512 };  // at most: weights are multiples of 2^-40, and their sums have 64 bits

// ---- weights and quantized activations (weights.h)

enum { BLOCK_OUTPUTS = 16 };  // outputs whose words lie side by side
enum { INPUT_GROUP = 32 };    // columns of a group; with integers of activations they share a scale, or the row's
enum { GROUP_BYTES = 8 };
enum { SEGMENTS = 8 };      // of the columns of a row, at most
enum { LINEAR_BATCH = 3 };  // matrices of a launch, at most
int row_segments(int groups) { return groups < SEGMENTS ? groups : SEGMENTS; }

// Few rows: an item has WIDTH outputs' segment of the columns, and the rows of its work-group.
int gemv_items(int width) { return BLOCK_OUTPUTS / width * SEGMENTS; }
int gemv_rows(int rows) { return rows == 1 ? 1 : rows <= 4 ? 4 : 8; }

// Many rows: an item has WIDTH outputs and ITEM_ROWS rows of a tile.
enum { LEAST_GEMM_ROWS = 33 };
enum { GEMM_OUTPUTS = 64 };
enum { GEMM_ROWS = 64 };
enum { ITEM_ROWS = 8 };
int gemm_items(int width) { return GEMM_OUTPUTS / width * (GEMM_ROWS / ITEM_ROWS); }

// ---- groups of rows (weights.h) and experts (experts.h)

// Rows of a tile where so many rows are of so many groups.
int grouped_rows(int rows, int groups) {
    return 8 * rows <= groups ? 1 : rows <= 8 * groups ? 4 : GEMM_ROWS;
}
enum { MOST_EXPERTS = 2048 };
enum { MOST_CHOSEN = 256 };  // experts of a row
enum { ROUTE_ITEMS = 64 };
enum { ORDER_ITEMS = 64 };  // order_routes

// ---- attention (pages.h)

enum { PAGE = 32 };         // positions of a page
enum { SCALE_GROUP = 64 };  // elements of a head that share a scale
enum { SEGMENT = 256 };     // positions whose attention is computed alone and then merged
enum { STATE_HEADER = 4 };  // FP32 numbers of a state before its elements
enum { MOST_HEAD_DIM = 576 };  // latent attention: 512 and 64
enum { DIM_MULTIPLE = 16 };  // elements to which those of a head are padded
int padded_dim(int dim) { return (dim + DIM_MULTIPLE - 1) / DIM_MULTIPLE * DIM_MULTIPLE; }

enum { ROTATE_ITEMS = 64 };
enum { APPEND_ITEMS = SCALE_GROUP };
enum { ATTENTION_ITEMS = 64 };  // positions that are looked at together; then items have elements
int item_elements(int dim) { return dim <= 64 ? 1 : dim <= 128 ? 2 : dim <= 256 ? 4 : dim <= 512 ? 8 : 9; }
int decode_queries(int query_heads) { return query_heads == 1 ? 1 : query_heads <= 4 ? 4 : 8; }  // of a work-group
int decode_passes(int query_heads) {
    return (query_heads + decode_queries(query_heads) - 1) / decode_queries(query_heads);
}
enum { PREFILL_QUERIES = 16 };  // rows of a work-group
enum { LEAST_PREFILL_ROWS = 4 };

// ---- states (states.h)

enum { DELTA_ITEMS = 64 };  // delta_rule: columns of a head's state, of a work-group
enum { MOST_STATE_DIM = 256 };
int delta_groups(int dim) { return (dim + DELTA_ITEMS - 1) / DELTA_ITEMS; }  // of a head
