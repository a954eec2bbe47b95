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

// ---- tiles of integer weights and activations (weights.h)

enum { TILE_OUTPUTS = 8 };  // rows of a tile, of activations too
enum { TILE_BYTES = 512 };
enum { TILE_ROW_BYTES = TILE_BYTES / TILE_OUTPUTS };
enum { INPUT_COLUMNS = 64 };  // columns of a tile of activations
enum { INPUT_GROUP = 32 };    // columns of activations that share a scale, or repeat the row's
enum { GROUP_BYTES = 8 };
enum { SEGMENTS = 8 };      // of the columns of a row, at most
enum { LINEAR_BATCH = 3 };  // matrices of a launch, at most
int tile_columns(int bits) { return TILE_BYTES * 8 / TILE_OUTPUTS / bits; }
int row_segments(int tiles) { return tiles < SEGMENTS ? tiles : SEGMENTS; }

enum { GEMV_ITEMS = TILE_OUTPUTS * SEGMENTS };  // an item has an output's segment of the columns
// Rows of a work-group: the kernel of one row, of four or of eight; of FP32 activations of one or four.
int gemv_rows(int rows) { return rows == 1 ? 1 : rows <= 4 ? 4 : 8; }
int exact_gemv_rows(int rows) { return rows == 1 ? 1 : 4; }

enum { FLOAT_GEMV_ITEMS = 64 };
enum { FLOAT_GEMV_OUTPUTS = 4 };  // of a work-group: sixteen items have one

// ---- attention (pages.h)

enum { PAGE = 32 };         // positions of a page
enum { SCALE_GROUP = 64 };  // elements of a head that share a scale
enum { SEGMENT = 256 };     // positions whose attention is computed alone and then merged
enum { STATE_HEADER = 4 };  // FP32 numbers of a state before its elements
enum { MOST_HEAD_DIM = 256 };
enum { DIM_MULTIPLE = 16 };  // elements to which those of a head are padded
int padded_dim(int dim) { return (dim + DIM_MULTIPLE - 1) / DIM_MULTIPLE * DIM_MULTIPLE; }

enum { APPEND_ITEMS = SCALE_GROUP };
enum { ATTENTION_ITEMS = 64 };  // positions that are looked at together; then items have elements
int decode_heads(int query_heads) { return query_heads == 1 ? 1 : query_heads <= 4 ? 4 : 8; }  // of a work-group
int decode_passes(int query_heads) { return (query_heads + decode_heads(query_heads) - 1) / decode_heads(query_heads); }
