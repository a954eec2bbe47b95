// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows, INT8 weights and activations, each with one
//           scale a row (W8A8); w = s q. The bits of gemm_int8.cu.
// Layout:   output.cuh; weights.cuh, whose tiles are operands of wgmma as they lie.
// Requires: sm_90a; scales of whole rows; no minimums; an even number of outputs. Dynamic shared memory: WGMMA_BYTES.
//           An even number of blocks.
// Accuracy: integer sums are exact (up to 131,072 columns); one FP32 fold.
// Launch:   at most as many blocks of 288 threads as multiprocessors, in clusters of two that share outputs and have
//           neighboring rows.
// Moves:    a cluster reads weights once for each 256 rows, activations once for each 128 outputs; 2 operations an
//           element and row.
// Why:      wgmma, which alone reaches the INT8 peak of sm_90; how is in wgmma.cuh. Weights with a scale for each 32
//           columns gain nothing here: their folds cost three times what wgmma does, so gemm_float.sm90a.cu takes them
//           as FP16. On an H100 941 TOP/s (4096 x 14336 x 4096; 838 with quantizing, torch._int_mm 751), 1.7 to 2.1
//           times gemm_int8.cu from 512 rows on. Operands then come from the second-level cache at about what that
//           gives: larger tiles would help.
#include "demitasse/wgmma.cuh"

KERNEL_CLUSTER(demitasse::WGMMA_THREADS, demitasse::WGMMA_CLUSTER)
gemm_int8_per_row_wgmma(const demitasse::LinearArgs a) {
    DYNAMIC_SHARED(shared);
    demitasse::multiply_by_wgmma<demitasse::WgmmaElement::INT8>(a, shared);
}
EXPORT_CLUSTER(gemm_int8_per_row_wgmma, demitasse::WGMMA_CLUSTER)
