// The shapes of launches, and of what lies in memory: what the host must know to launch a kernel. The build turns this
// file into Java line by line, so it has nothing but constants of integers, and functions of one expression, of
// + - * / % ?:, comparisons, and names declared here. Kernels take these numbers, or assert that theirs are the same.
//
// `bits` are those of a weight, 4 or 8; `group` is how many columns of a weight row share a scale: 16, 32, or 0 for the
// whole row. `bytes` are those of an element of a key-value cache.
#pragma once

namespace demitasse {

// ---- blocks of threads

constexpr int ELEMENT_THREADS = 256;   // of the kernels of which a thread has an element: add, rope, soft_cap, …
constexpr int ROW_THREADS = 256;       // of those of which a block has a row: embed, gather_rows, …
constexpr int QUANTIZE_THREADS = 512;  // quantize_rows
constexpr int QUANTIZE_COLUMNS = 4 * QUANTIZE_THREADS;
constexpr int NORM_THREADS = 1024;  // rms_norm, at most; a thread has four columns, and again
constexpr DEVICE int rms_norm_threads(int columns) {
    return columns > 2048 ? NORM_THREADS : columns > 1024 ? 512 : 256;
}
constexpr int GATE_THREADS = 128;  // gated_activation; a thread has four columns
constexpr int GATE_COLUMNS = 4 * GATE_THREADS;
constexpr int SAMPLE_THREADS = 512;
constexpr int SAMPLE_COLUMNS = 512 * 512;  // at most: weights are multiples of 2^-40, and their sums have 64 bits
constexpr int MOST_GRID_ROWS = 65535;      // blocks along the second dimension of a grid

// ---- tiles of integer weights and activations (weights.cuh)

constexpr int TILE_OUTPUTS = 8;  // rows of a tile, of activations too
constexpr int TILE_BYTES = 512;
constexpr int TILE_ROW_BYTES = TILE_BYTES / TILE_OUTPUTS;
constexpr int INPUT_COLUMNS = 64;  // columns of a tile of activations
constexpr int INPUT_GROUP = 32;    // columns of activations that share a scale, or repeat the row's
constexpr int GROUP_BYTES = 8;
constexpr int SEGMENTS = 8;      // of the columns of a row, at most
constexpr int LINEAR_BATCH = 4;  // matrices of a launch, at most
constexpr DEVICE int tile_columns(int bits) { return TILE_BYTES * 8 / TILE_OUTPUTS / bits; }
// Groups of an output in a tile; 0 where scales are of whole rows, which do not lie by tiles.
constexpr DEVICE int tile_groups(int bits, int group) { return group == 0 ? 0 : tile_columns(bits) / group; }
constexpr DEVICE int row_segments(int tiles) { return tiles < SEGMENTS ? tiles : SEGMENTS; }

// ---- gemv of integer weights: rows and outputs of a block

constexpr int GEMV_THREADS = 32 * SEGMENTS;
// Whether weights come by bulk copies (gemv_bulk.cuh): on 9.x and 10.x, where a multiprocessor has 228 KiB of shared
// memory, so that two blocks, of which one multiplies while that of the next kernel prefetches, have room for rings.
constexpr DEVICE int gemv_bulk(int capability) { return capability / 10 == 9 ? 1 : capability / 10 == 10 ? 1 : 0; }
// Bytes of a warp's ring of weights, and of barriers behind it.
constexpr int BULK_BARRIERS = 64;
constexpr DEVICE int gemv_ring_bytes(int capability) {
    return gemv_bulk(capability) == 1 ? 9216 + BULK_BARRIERS : 4608;
}
constexpr DEVICE int gemv_shared_bytes(int capability) { return SEGMENTS * gemv_ring_bytes(capability); }
constexpr int GEMV_ROWS = 8;  // at most: the kernel of four rows or of eight
constexpr DEVICE int gemv_rows(int rows) { return rows <= 4 ? 4 : 8; }
constexpr int GEMV_OUTPUTS = 2 * TILE_OUTPUTS;
constexpr int EXACT_GEMV_ROWS = 4;  // with FP32 activations: the kernel of one row or of four
constexpr DEVICE int exact_gemv_rows(int rows) { return rows == 1 ? 1 : EXACT_GEMV_ROWS; }
constexpr int EXACT_GEMV_OUTPUTS = TILE_OUTPUTS;
constexpr int EXACT_GEMV_SHARED_BYTES = SEGMENTS * 4608;

// ---- gemm of integer weights: a block's tile of 16, 32, 64 or 128 rows, which is what `rows` is below

constexpr int GEMM_STAGES = 3;
// The tile of so many rows where nothing else was measured. Two tiles of 32 rows are quicker than one of 64 (an H100,
// 14336 x 4096 INT4: 60 and 66 us).
constexpr DEVICE int gemm_rows(int rows) { return rows <= 16 ? 16 : rows <= 64 ? 32 : 128; }
constexpr DEVICE int gemm_outputs(int group, int rows) { return group == 0 ? (rows == 128 ? 128 : 64) : 64; }
constexpr DEVICE int gemm_threads(int rows) { return rows <= 32 ? 128 : 256; }
// Bytes of a stage of shared memory: tiles of activations and of weights; scales of weights in FP32, and as many of
// minimums; and the groups of activations.
constexpr DEVICE int gemm_input_bytes(int bits, int rows) { return rows * tile_columns(bits); }
constexpr DEVICE int gemm_weight_bytes(int outputs) { return outputs * TILE_ROW_BYTES; }
constexpr DEVICE int gemm_scale_bytes(int bits, int group, int outputs) {
    return outputs * tile_groups(bits, group) * 4;
}
constexpr DEVICE int gemm_group_bytes(int bits, int group, int rows) {
    return group == 0 ? 0 : rows * (tile_columns(bits) / INPUT_GROUP) * GROUP_BYTES;
}
constexpr DEVICE int gemm_fold_bytes(int bits, int group, int rows) {
    return 2 * gemm_scale_bytes(bits, group, gemm_outputs(group, rows)) + gemm_group_bytes(bits, group, rows);
}
constexpr DEVICE int gemm_tile_bytes(int bits, int group, int rows) {
    return gemm_input_bytes(bits, rows) + gemm_weight_bytes(gemm_outputs(group, rows));
}
constexpr DEVICE int gemm_shared_bytes(int bits, int group, int rows) {
    return GEMM_STAGES * (gemm_tile_bytes(bits, group, rows) + gemm_fold_bytes(bits, group, rows));
}

// ---- gemm_int8.sm90a and gemm_float.sm90a

constexpr int WGMMA_ROWS = 128;
constexpr int WGMMA_OUTPUTS = 128;
constexpr int WGMMA_CLUSTER = 2;  // blocks of a cluster, which have rows one after the other
constexpr int WGMMA_GROUPS = 2;   // of four warps each that multiply; one warp more fetches operands
constexpr int WGMMA_THREADS = 128 * WGMMA_GROUPS + 32;
constexpr int WGMMA_TILES = 4;  // of columns, a stage
constexpr int WGMMA_STAGES = 3;
constexpr int WGMMA_STAGE_BYTES = (WGMMA_ROWS + WGMMA_OUTPUTS) / TILE_OUTPUTS * WGMMA_TILES * TILE_BYTES;
constexpr int WGMMA_BYTES = WGMMA_STAGES * WGMMA_STAGE_BYTES + (2 * WGMMA_STAGES + WGMMA_GROUPS) * 8;
// Tiles of FP16 operands (fp16_tiles.cuh), which dequantize_weights and fp16_rows write: columns of one, and those of a
// row. A thread writes 16 bytes of activations, or what 16 bytes of integers give.
constexpr int FP16_TILE_COLUMNS = 32;
constexpr int TILE_THREADS = TILE_BYTES / 16;
constexpr DEVICE int fp16_tiles(int columns) { return (columns + FP16_TILE_COLUMNS - 1) / FP16_TILE_COLUMNS; }

// ---- dense weights

constexpr int FLOAT_GEMV_THREADS = 256;
constexpr int FLOAT_GEMV_OUTPUTS = FLOAT_GEMV_THREADS / 32;
constexpr int FLOAT_GEMV_ROWS = 4;  // of a block: the kernel of one row or of four
constexpr DEVICE int float_gemv_rows(int rows) { return rows == 1 ? 1 : FLOAT_GEMV_ROWS; }
constexpr int FLOAT_GEMM_THREADS = 256;
// Rows, and outputs, of a block: the kernel of 64 or of 128.
constexpr DEVICE int float_gemm_edge(int rows) { return rows <= 64 ? 64 : 128; }
constexpr int FLOAT_ROW_MULTIPLE = 16;  // bytes to which a row of dense weights is padded

// ---- groups of rows (weights.cuh) and experts (experts.cuh)

constexpr int GROUP_TILE_WORDS = 4;  // of 32 bits, of a tile of rows
constexpr int GROUPED_ROWS = 4;      // of a tile where groups have few rows, and where they have many
constexpr int GROUPED_MANY_ROWS = 32;
constexpr DEVICE int grouped_rows(int rows, int groups) {
    return rows <= GROUPED_ROWS * groups ? GROUPED_ROWS : GROUPED_MANY_ROWS;
}
// To which a group's first row is a multiple, so that its activations begin with a tile of them.
constexpr DEVICE int grouped_align(int rows) { return rows == GROUPED_ROWS ? 1 : TILE_OUTPUTS; }
constexpr int MOST_EXPERTS = 2048;
constexpr int MOST_CHOSEN = 256;  // experts of a row
constexpr int ROUTE_THREADS = 32;
constexpr int ORDER_THREADS = 128;  // order_routes

// ---- attention (pages.cuh)

constexpr int PAGE = 32;               // positions of a page
constexpr int SCALE_GROUP = 64;        // elements of a head that share a scale
constexpr int SEGMENT = 256;           // positions whose attention is computed alone and then merged
constexpr int STATE_HEADER = 4;        // FP32 numbers of a state before its elements
constexpr int MOST_HEAD_DIM = 576;     // latent attention: 512 and 64
constexpr int MOST_PREFILL_DIM = 256;  // of longer heads attention_decode takes all rows
constexpr int DIM_MULTIPLE = 16;       // elements to which those of a head are padded
constexpr DEVICE int padded_dim(int dim) { return (dim + DIM_MULTIPLE - 1) / DIM_MULTIPLE * DIM_MULTIPLE; }
constexpr DEVICE int scale_groups(int dim) { return (dim + SCALE_GROUP - 1) / SCALE_GROUP; }

constexpr int APPEND_THREADS = 64;  // kv_append
constexpr int ROTATE_HEADS = 8;     // rotate: of a block, a warp each
constexpr int ROTATE_THREADS = 32 * ROTATE_HEADS;
// attention_decode: query heads of a block, of which a KV head has `query_heads`.
constexpr DEVICE int decode_heads(int bits, int query_heads) { return bits < 32 ? 8 : query_heads == 1 ? 1 : 4; }
constexpr DEVICE int decode_threads(int bits) { return bits < 32 ? 256 : 128; }
// The kernel's elements of a head, at most.
constexpr DEVICE int decode_dim(int bits, int dim) {
    return bits < 32 && dim <= 128 ? 128 : dim <= 256 ? 256 : dim <= 512 ? 512 : MOST_HEAD_DIM;
}
// Query heads of a KV head that more blocks than one take.
constexpr DEVICE int decode_passes(int bits, int query_heads) {
    return (query_heads + decode_heads(bits, query_heads) - 1) / decode_heads(bits, query_heads);
}

constexpr int PREFILL_ROWS = 64;  // attention_prefill: of a block
constexpr int PREFILL_THREADS = 128;
constexpr int PREFILL_WORDS = 4;  // of 32 bits that describe a block's rows
constexpr DEVICE int prefill_dim(int dim) { return dim <= 64 ? 64 : dim <= 128 ? 128 : 256; }
constexpr DEVICE int prefill_stride(int dim) { return dim + 8; }  // elements: eight rows meet all banks
constexpr DEVICE int prefill_elements(int dim) { return dim * PAGE + prefill_stride(dim) * (PAGE + PREFILL_ROWS); }
constexpr DEVICE int prefill_shared_bytes(int dim) { return 2 * prefill_elements(dim); }

// ---- states (states.cuh)

constexpr int DELTA_THREADS = 128;                                                           // four warps
constexpr DEVICE int delta_dim(int dim) { return dim <= 64 ? 64 : dim <= 128 ? 128 : 256; }  // the kernel's, at most
constexpr DEVICE int delta_columns(int dim) { return dim <= 128 ? 8 : 4; }  // of a head's state, a warp's
// selective_scan: blocks of a head's columns, where the kernel's elements of a state are at most `elements`.
constexpr DEVICE int scan_blocks(int columns, int elements) {
    return (columns + 4 * delta_columns(elements) - 1) / (4 * delta_columns(elements));
}
constexpr DEVICE int delta_blocks(int dim) { return (dim + 4 * delta_columns(dim) - 1) / (4 * delta_columns(dim)); }

}  // namespace demitasse
