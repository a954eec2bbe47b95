package dev.demitasse.cuda;

/**
 * Where rows of activations lie as integers ({@code cuda/include/demitasse/quantize.cuh}).
 *
 * @param q address of the tiles; 0 for nowhere
 * @param groups address of scales and sums
 * @param padded columns with those that fill the last tile
 * @param wholeRows whether a row has one scale
 */
record QuantizedRows(long q, long groups, int padded, boolean wholeRows) {
    static final QuantizedRows NOWHERE = new QuantizedRows(0, 0, 0, false);

    /** Arguments that end with the words of the structure. */
    long[] after(long... arguments) {
        long[] all = java.util.Arrays.copyOf(arguments, arguments.length + 4);
        all[arguments.length] = q;
        all[arguments.length + 1] = groups;
        all[arguments.length + 2] = padded;
        all[arguments.length + 3] = wholeRows ? 1 : 0;
        return all;
    }
}
