package dev.demitasse.gpu;

import dev.demitasse.quant.WeightLayout;

/** How the elements of a weight matrix lie in a GPU's memory: what its kernels read side by side. */
public enum WeightOrder {
    /**
     * Integers as lanes of tensor cores read them, in tiles of 8 outputs by 64 (INT8) or 128 (INT4) columns: of each
     * output four chunks of 16 bytes, in swizzled order ({@code cuda/include/demitasse/weights.cuh}). Floating-point
     * numbers row after row.
     */
    FRAGMENTS(8, 1) {
        @Override
        public int columns(WeightLayout.Element element) {
            return element.quantized() ? 512 / element.bits() : 128 / element.bits();
        }

        @Override
        int word(boolean int4, int output, int group, int word) {
            int chunk = word % 4 ^ output / 2 % 4;
            return output * 64 + chunk * 16 + (int4 ? group : 2 * group + word / 4) * 4;
        }

        @Override
        int scale(int output, int i, int count) {
            return output * count + i;
        }
    },

    /**
     * Outputs side by side, 16 of them by 32 columns: the first word of each, then the second, ...
     * ({@code opencl/include/demitasse/weights.h}).
     */
    SIDE_BY_SIDE(16, 16) {
        @Override
        public int columns(WeightLayout.Element element) {
            return GROUP;
        }

        @Override
        int word(boolean int4, int output, int group, int word) {
            return (word * outputs() + output) * Integer.BYTES;
        }

        @Override
        int scale(int output, int i, int count) {
            return i * outputs() + output;
        }
    };

    /** Columns of a group, whose integers lie in whole words. */
    static final int GROUP = 32;

    private final int outputs;
    private final int floatOutputs;

    WeightOrder(int outputs, int floatOutputs) {
        this.outputs = outputs;
        this.floatOutputs = floatOutputs;
    }

    /** Outputs of a tile of integers. */
    public int outputs() {
        return outputs;
    }

    /** Rows of floating-point numbers whose words lie side by side. */
    int floatOutputs() {
        return floatOutputs;
    }

    /** Columns of a tile of integers; of floating-point numbers those to whose multiples rows are padded. */
    public abstract int columns(WeightLayout.Element element);

    /**
     * Where a word of integers lies within a tile, in bytes.
     *
     * @param group 32 columns of the tile
     * @param word of the group: INT8 four columns, INT4 four and those 16 further
     */
    abstract int word(boolean int4, int output, int group, int word);

    /** Index of the i-th of an output's {@code count} scales among those of a tile. */
    abstract int scale(int output, int i, int count);
}
