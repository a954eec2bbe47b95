package dev.demitasse.quantize.encode;

import dev.demitasse.quant.TensorType;
import java.lang.foreign.MemorySegment;

/** Types whose blocks of 32 are an FP16 scale and codes. */
final class ScaleEncoder implements RowEncoder {
    private final TensorType type;
    private final Levels levels;
    private final BlockPacking.Scaled packing;
    private final ScaleSearch search;
    private final GroupTile tile;
    private final float[] scale = new float[GroupTile.GROUPS];
    private final byte[] codes;

    ScaleEncoder(TensorType type, Levels levels, BlockPacking.Scaled packing) {
        this.type = type;
        this.levels = levels;
        this.packing = packing;
        this.search = new ScaleSearch(levels);
        this.tile = new GroupTile(type.blockElements());
        this.codes = new byte[type.blockElements() * GroupTile.GROUPS];
    }

    @Override
    public void encode(float[] x, float[] w, int count, MemorySegment out, long at) {
        int length = tile.length;
        for (int from = 0; from < count; from += tile.groups * length) {
            tile.load(x, w, from, Math.min(GroupTile.GROUPS, (count - from) / length));
            search.search(tile, scale);
            for (int g = 0; g < tile.groups; g++) {
                scale[g] = RowEncoder.fp16(scale[g], type);
            }
            levels.codes(tile, scale, codes);
            for (int g = 0; g < tile.groups; g++) {
                packing.pack(codes, g * length, scale[g], out, at + (from / length + g) * (long) type.blockBytes());
            }
        }
    }
}
