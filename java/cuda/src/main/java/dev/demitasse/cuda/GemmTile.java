package dev.demitasse.cuda;

import dev.demitasse.gpu.WeightTiles;

/**
 * A tile of the kernels in {@code gemm_int8.cu}: what a block computes.
 *
 * @param rows of activations
 * @param outputs of the weights
 * @param threads of the block
 */
record GemmTile(int rows, int outputs, int threads) {
    private static final int STAGES = 3;
    private static final int ACTIVATION_GROUP_BYTES = 8;

    /** What a block of {@code gemm_int8.sm90a.cu} computes at a time; clusters have two blocks. */
    static final GemmTile WGMMA = new GemmTile(128, 128, 288);
    /** Its dynamic shared memory, {@code Wgmma::BYTES}: three stages of two operands, and 8 barriers. */
    static final int WGMMA_BYTES = 3 * 2 * 128 * 256 + 8 * 8;

    /** The smallest tile that takes all rows, or the largest; {@code part} as in {@link WeightTiles#groupOf}. */
    static GemmTile of(int rows, int part) {
        if (rows <= 16) {
            return new GemmTile(16, 64, 128);
        }
        if (rows <= 32) {
            return new GemmTile(32, 64, 128);
        }
        if (rows <= 64) {
            return new GemmTile(64, 64, 256);
        }
        return new GemmTile(128, part == 0 ? 128 : 64, 256);
    }

    /** Dynamic shared memory: {@code GemmShape::BYTES}. */
    int sharedBytes(boolean int4, int part) {
        int columns = WeightTiles.columnsOfTile(int4);
        int groups = columns / 32;
        int activations = rows * columns;
        int weights = outputs / WeightTiles.OUTPUTS * WeightTiles.BYTES;
        int scales = part == 0 ? 0 : outputs * (columns / part) * Float.BYTES;
        int activationGroups = part == 0 ? 0 : rows * groups * ACTIVATION_GROUP_BYTES;
        return STAGES * (activations + weights + 2 * scales + activationGroups);
    }
}
