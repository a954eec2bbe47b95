package dev.demitasse.quantize.encode;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/** A vector of groups at a time; the groups that a tile has not filled are zeros. */
final class VectorGroupSums implements GroupSums {
    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = SPECIES.length();

    private static final GroupSums ONE_BY_ONE = new ScalarGroupSums();

    /** As many bytes as a vector has lanes, or the fewest that a vector of bytes has. */
    private static final VectorSpecies<Byte> BYTES =
            VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(Long.SIZE, LANES * Byte.SIZE)));

    private static FloatVector load(float[] values, int at) {
        return FloatVector.fromArray(SPECIES, values, at);
    }

    private static FloatVector round(FloatVector v, float low, float high) {
        return v.min(high).max(low).add(ROUND).sub(ROUND);
    }

    @Override
    public void nearest(GroupTile tile, float low, float high, float[] inverse, float[] xq, float[] qq) {
        for (int g = 0; g < tile.groups; g += LANES) {
            FloatVector reciprocal = load(inverse, g);
            FloatVector product = FloatVector.zero(SPECIES);
            FloatVector square = FloatVector.zero(SPECIES);
            for (int at = g; at < tile.end; at += GroupTile.GROUPS) {
                FloatVector x = load(tile.x, at);
                FloatVector q = round(x.mul(reciprocal), low, high);
                FloatVector wq = load(tile.w, at).mul(q);
                product = wq.fma(x, product);
                square = wq.fma(q, square);
            }
            product.intoArray(xq, g);
            square.intoArray(qq, g);
        }
    }

    @Override
    public void nearestErrors(GroupTile tile, float low, float high, float[] scale, float[] inverse, float[] errors) {
        for (int g = 0; g < tile.groups; g += LANES) {
            FloatVector reciprocal = load(inverse, g);
            FloatVector minus = load(scale, g).neg();
            FloatVector sum = FloatVector.zero(SPECIES);
            for (int at = g; at < tile.end; at += GroupTile.GROUPS) {
                FloatVector x = load(tile.x, at);
                FloatVector e = round(x.mul(reciprocal), low, high).fma(minus, x);
                sum = load(tile.w, at).mul(e).fma(e, sum);
            }
            sum.intoArray(errors, g);
        }
    }

    @Override
    public void range(
            GroupTile tile,
            float top,
            float[] origin,
            float[] offset,
            float[] inverse,
            float[] wq,
            float[] wqq,
            float[] wyq) {
        for (int g = 0; g < tile.groups; g += LANES) {
            FloatVector reciprocal = load(inverse, g);
            FloatVector from = load(origin, g);
            FloatVector least = load(offset, g);
            FloatVector sum = FloatVector.zero(SPECIES);
            FloatVector square = FloatVector.zero(SPECIES);
            FloatVector product = FloatVector.zero(SPECIES);
            for (int at = g; at < tile.end; at += GroupTile.GROUPS) {
                FloatVector y = load(tile.x, at).sub(from);
                FloatVector q = round(y.sub(least).mul(reciprocal), 0, top);
                FloatVector weighted = load(tile.w, at).mul(q);
                sum = sum.add(weighted);
                square = weighted.fma(q, square);
                product = weighted.fma(y, product);
            }
            sum.intoArray(wq, g);
            square.intoArray(wqq, g);
            product.intoArray(wyq, g);
        }
    }

    @Override
    public void rangeErrors(GroupTile tile, float top, float[] scale, float[] min, float[] inverse, float[] errors) {
        for (int g = 0; g < tile.groups; g += LANES) {
            FloatVector reciprocal = load(inverse, g);
            FloatVector minus = load(scale, g).neg();
            FloatVector m = load(min, g);
            FloatVector sum = FloatVector.zero(SPECIES);
            for (int at = g; at < tile.end; at += GroupTile.GROUPS) {
                FloatVector y = load(tile.x, at).sub(m);
                FloatVector e = round(y.mul(reciprocal), 0, top).fma(minus, y);
                sum = load(tile.w, at).mul(e).fma(e, sum);
            }
            sum.intoArray(errors, g);
        }
    }

    @Override
    public void extremes(GroupTile tile, float[] extreme) {
        for (int g = 0; g < tile.groups; g += LANES) {
            FloatVector most = FloatVector.zero(SPECIES);
            for (int at = g; at < tile.end; at += GroupTile.GROUPS) {
                FloatVector x = load(tile.x, at);
                most = most.blend(x, x.abs().compare(VectorOperators.GT, most.abs()));
            }
            most.intoArray(extreme, g);
        }
    }

    @Override
    public void codes(GroupTile tile, float low, float high, float[] min, float[] inverse, int bias, byte[] codes) {
        if (tile.length % LANES != 0) { // vectors longer than a group
            ONE_BY_ONE.codes(tile, low, high, min, inverse, bias, codes);
            return;
        }
        VectorMask<Byte> all = BYTES.indexInRange(0, LANES);
        for (int g = 0; g < tile.groups; g++) {
            int at = g * tile.length;
            for (int k = at; k < at + tile.length; k += LANES) {
                FloatVector v = load(tile.values, tile.from + k).sub(min[g]).mul(inverse[g]);
                v.min(high)
                        .max(low)
                        .add(ROUND)
                        .reinterpretAsInts()
                        .add(bias)
                        .convertShape(VectorOperators.I2B, BYTES, 0)
                        .reinterpretAsBytes()
                        .intoArray(codes, k, all);
            }
        }
    }

    @Override
    public void keepBetter(int groups, float[] xq, float[] qq, float[] gain, float[] scale) {
        for (int g = 0; g < groups; g += LANES) {
            FloatVector best = load(xq, g).div(load(qq, g));
            FloatVector won = load(xq, g).mul(best);
            FloatVector before = load(gain, g);
            VectorMask<Float> better = won.compare(VectorOperators.GT, before);
            before.blend(won, better).intoArray(gain, g);
            load(scale, g).blend(best, better).intoArray(scale, g);
        }
    }
}
