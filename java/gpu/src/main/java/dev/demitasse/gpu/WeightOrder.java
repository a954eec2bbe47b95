package dev.demitasse.gpu;

/** How the elements of a weight matrix lie in a GPU's memory: what its kernels read side by side. */
public enum WeightOrder {
    /**
     * Integers as lanes of tensor cores read them, in tiles of 8 outputs by 64 (INT8) or 128 (INT4) columns: of each
     * output four chunks of 16 bytes, in swizzled order ({@code cuda/include/demitasse/weights.cuh}). Floating-point
     * numbers row after row.
     */
    FRAGMENTS(8, 1) {
        @Override
        public int columns(GpuElement element) {
            return element.quantized() ? 512 / element.bits() : 128 / element.bits();
        }

        @Override
        int word(int bits, int output, int group, int word) {
            int chunk = word % 4 ^ output / 2 % 4;
            return output * 64 + chunk * 16 + (bits == 4 ? group : 2 * group + word / 4) * 4;
        }

        @Override
        int places(int first, int further) {
            return together(first) | together(further) << 16;
        }

        @Override
        int place(int word, int k) {
            return word >> k / 16 * 16 + k % 4 * 4 & 15;
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
        public int columns(GpuElement element) {
            return GROUP;
        }

        @Override
        int word(int bits, int output, int group, int word) {
            return (word * outputs() + output) * Integer.BYTES;
        }

        @Override
        int places(int first, int further) {
            return first | further << 4;
        }

        @Override
        int place(int word, int k) {
            return word >> k % 4 * 8 + k / 16 * 4 & 15;
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

    /** The lower nibbles of four bytes, beside each other. */
    private static int together(int bytes) {
        int pairs = (bytes | bytes >>> 4) & 0x00FF00FF;
        return (pairs | pairs >>> 8) & 0xFFFF;
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
    public abstract int columns(GpuElement element);

    /**
     * Where a word of integers lies within a tile, in bytes.
     *
     * @param bits of an integer, 4 or 8
     * @param group 32 columns of the tile
     * @param word of the group: of 8 bits four columns, of 4 bits four and those 16 further
     */
    abstract int word(int bits, int output, int group, int word);

    /**
     * The word of eight places of levels.
     *
     * @param first the places of four columns, a byte each
     * @param further those of the columns 16 further
     */
    abstract int places(int first, int further);

    /** The place of column {@code k} of a group, of the word that has it. */
    abstract int place(int word, int k);

    /** Index of the i-th of an output's {@code count} scales among those of a tile. */
    abstract int scale(int output, int i, int count);
}
