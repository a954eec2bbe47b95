package dev.demitasse.quantize.encode;

import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;

/** Types whose blocks of 32 are an FP16 scale, an FP16 minimum and codes from 0. */
final class MinimumEncoder implements RowEncoder {
    private final TensorType type;
    private final BlockPacking.WithMinimum packing;
    private final RangeSearch search;
    private final GroupTile tile;
    private final float[] scale = new float[GroupTile.GROUPS];
    private final float[] min = new float[GroupTile.GROUPS];
    private final byte[] codes;

    MinimumEncoder(TensorType type, int top, BlockPacking.WithMinimum packing) {
        this.type = type;
        this.packing = packing;
        this.search = new RangeSearch(top, false);
        this.tile = new GroupTile(type.blockElements());
        this.codes = new byte[type.blockElements() * GroupTile.GROUPS];
    }

    @Override
    public void encode(float[] x, float[] w, int count, MemorySegment out, long at) {
        int length = tile.length;
        for (int from = 0; from < count; from += tile.groups * length) {
            tile.load(x, w, from, Math.min(GroupTile.GROUPS, (count - from) / length));
            search.search(tile, scale, min);
            for (int g = 0; g < tile.groups; g++) {
                scale[g] = RowEncoder.fp16(scale[g], type);
                min[g] = RowEncoder.fp16(min[g], type);
            }
            search.codes(tile, scale, min, codes);
            for (int g = 0; g < tile.groups; g++) {
                long block = at + (from / length + g) * (long) type.blockBytes();
                packing.pack(codes, g * length, scale[g], min[g], out, block);
            }
        }
    }
}
