// Computes: out[r][n] = sum_k x[r][k] w[n][k] + bias[n] for many rows, weights and activations in FP16.
// Layout:   output.cuh; both operands as fp16_tiles.cuh says, which dequantize_weights and fp16_rows write. Of
//           LinearArgs: quants and q are the tiles, `tiles` those of 32 columns; scales and groups are not read.
// Requires: sm_90a; an even number of outputs. Dynamic shared memory: WGMMA_BYTES. An even number of blocks.
// Accuracy: exact products and FP32 sums of the tensor cores, one after the other over the columns: NMSE 1e-10 of the
//           FP16 operands. Those are within 2^-11 of their numbers, 2^-25 where these are below 2^-14, and at most
//           65,504: NMSE 1e-6 of FP32 activations and of weights as their scales give them, for numbers of about unit
//           size, as where cuBLAS takes FP16. An activation that is not finite is NaN, and so are all results of its
//           row.
// Launch:   as gemm_int8.sm90a.cu: at most as many blocks of 288 threads as multiprocessors, in clusters of two that
//           share outputs and have neighboring rows.
// Moves:    a cluster reads weights once for each 256 rows, activations once for each 128 outputs, twice the bytes of
//           gemm_int8.sm90a.cu; 2 operations an element and row.
// Why:      integer weights with a scale for each 16 or 32 columns: gemm_int8.cu folds their sums by 22 instructions an
//           mma, for which its tensor cores wait. Here a scale is multiplied in once a weight and call, and wgmma runs
//           without folds, at the FP16 peak, half of INT8's. On an H100 444 TFLOP/s (4096 x 14336 x 4096), 45 per cent
//           of that peak, as gemm_int8.sm90a.cu of its own: operands come from the second-level cache. 512 rows take
//           149 us, and the copy of the weights 53 more, where gemm_int8.cu takes 354.
#include "demitasse/wgmma.cuh"

KERNEL_CLUSTER(demitasse::WGMMA_THREADS, demitasse::WGMMA_CLUSTER)
gemm_f16_wgmma(const demitasse::LinearArgs a) {
    DYNAMIC_SHARED(shared);
    demitasse::multiply_by_wgmma<demitasse::WgmmaElement::F16>(a, shared);
}
EXPORT_CLUSTER(gemm_f16_wgmma, demitasse::WGMMA_CLUSTER)
