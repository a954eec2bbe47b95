package dev.demitasse.quantize.encode;

import java.util.Arrays;

/** One group after the other. */
final class ScalarGroupSums implements GroupSums {
    @Override
    public void nearest(GroupTile tile, float low, float high, float[] inverse, float[] xq, float[] qq) {
        for (int g = 0; g < tile.groups; g++) {
            float product = 0;
            float square = 0;
            for (int at = g; at < tile.end; at += GroupTile.GROUPS) {
                float q = Math.max(low, Math.min(high, tile.x[at] * inverse[g])) + ROUND - ROUND;
                float wq = tile.w[at] * q;
                product = Math.fma(wq, tile.x[at], product);
                square = Math.fma(wq, q, square);
            }
            xq[g] = product;
            qq[g] = square;
        }
    }

    @Override
    public void nearestErrors(GroupTile tile, float low, float high, float[] scale, float[] inverse, float[] errors) {
        for (int g = 0; g < tile.groups; g++) {
            float sum = 0;
            for (int at = g; at < tile.end; at += GroupTile.GROUPS) {
                float q = Math.max(low, Math.min(high, tile.x[at] * inverse[g])) + ROUND - ROUND;
                float e = Math.fma(q, -scale[g], tile.x[at]);
                sum = Math.fma(tile.w[at] * e, e, sum);
            }
            errors[g] = sum;
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
        for (int g = 0; g < tile.groups; g++) {
            float sum = 0;
            float square = 0;
            float product = 0;
            for (int at = g; at < tile.end; at += GroupTile.GROUPS) {
                float y = tile.x[at] - origin[g];
                float q = Math.max(0, Math.min(top, (y - offset[g]) * inverse[g])) + ROUND - ROUND;
                float weighted = tile.w[at] * q;
                sum += weighted;
                square = Math.fma(weighted, q, square);
                product = Math.fma(weighted, y, product);
            }
            wq[g] = sum;
            wqq[g] = square;
            wyq[g] = product;
        }
    }

    @Override
    public void rangeErrors(GroupTile tile, float top, float[] scale, float[] min, float[] inverse, float[] errors) {
        for (int g = 0; g < tile.groups; g++) {
            float sum = 0;
            for (int at = g; at < tile.end; at += GroupTile.GROUPS) {
                float y = tile.x[at] - min[g];
                float q = Math.max(0, Math.min(top, y * inverse[g])) + ROUND - ROUND;
                float e = Math.fma(q, -scale[g], y);
                sum = Math.fma(tile.w[at] * e, e, sum);
            }
            errors[g] = sum;
        }
    }

    @Override
    public void extremes(GroupTile tile, float[] extreme) {
        Arrays.fill(extreme, 0, tile.groups, 0);
        for (int at = 0; at < tile.end; at += GroupTile.GROUPS) {
            for (int g = 0; g < tile.groups; g++) {
                float v = tile.x[at + g];
                extreme[g] = Math.abs(v) > Math.abs(extreme[g]) ? v : extreme[g];
            }
        }
    }

    @Override
    public void codes(GroupTile tile, float low, float high, float[] min, float[] inverse, int bias, byte[] codes) {
        for (int g = 0; g < tile.groups; g++) {
            int at = g * tile.length;
            for (int k = at; k < at + tile.length; k++) {
                float v = Math.max(low, Math.min(high, (tile.values[tile.from + k] - min[g]) * inverse[g]));
                codes[k] = (byte) (Float.floatToRawIntBits(v + ROUND) + bias);
            }
        }
    }

    @Override
    public void keepBetter(int groups, float[] xq, float[] qq, float[] gain, float[] scale) {
        for (int g = 0; g < groups; g++) {
            float best = xq[g] / qq[g];
            float won = xq[g] * best;
            if (won > gain[g]) { // not where qq is 0
                gain[g] = won;
                scale[g] = best;
            }
        }
    }
}
