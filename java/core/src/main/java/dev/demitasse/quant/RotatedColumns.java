package dev.demitasse.quant;

/**
 * Matrices whose columns are rotated: runs of each row are multiplied by a Hadamard matrix, and where the model runs,
 * activations are, before they meet it. The product is the same in exact arithmetic, since the rotation is orthonormal;
 * what sticks out of a row of activations is spread over a run, so that INT8 with one scale a row loses less of the
 * others (Ashkboos et al., "QuaRot: Outlier-Free 4-Bit Inference in Rotated LLMs", 2024).
 *
 * <p>Such a matrix has a name of its own in a file, so that a program that does not know of it refuses the file, and
 * does not compute something else.
 */
public final class RotatedColumns {
    /** Elements that are rotated together, at most. Measured, 256 lose 2 to 5 % less than 64. */
    private static final int RUN = 64;

    private static final String PLAIN = ".weight";
    private static final String ROTATED = ".rotated.weight";

    private RotatedColumns() {}

    /**
     * {@return elements that are rotated together in rows of {@code columns}: the largest power of two that divides
     * them, at most 64}
     *
     * @param columns elements of a row
     */
    public static int run(int columns) {
        return Math.min(RUN, Integer.lowestOneBit(columns));
    }

    /**
     * {@return the name of a matrix that is called {@code name} where it is not rotated ({@code
     * blk.0.ffn_down.weight})}
     *
     * @param name its name in files where it is not rotated; ends in {@code .weight}
     * @throws IllegalArgumentException where it ends in something else
     */
    public static String name(String name) {
        if (!name.endsWith(PLAIN)) {
            throw new IllegalArgumentException(name);
        }
        return name.substring(0, name.length() - PLAIN.length()) + ROTATED;
    }

    /**
     * {@return whether a matrix of that name is rotated}
     *
     * @param name its name in the file
     */
    public static boolean isRotated(String name) {
        return name.endsWith(ROTATED);
    }

    /**
     * {@return the name of a matrix where it is not rotated}
     *
     * @param name its name in the file, rotated or not
     */
    public static String plainName(String name) {
        return isRotated(name) ? name.substring(0, name.length() - ROTATED.length()) + PLAIN : name;
    }

    /**
     * Rotates a row of weights in place.
     *
     * @param row the weights, from its beginning on; the array may be longer
     * @param columns elements of the row
     */
    public static void rotate(float[] row, int columns) {
        int run = run(columns);
        for (int at = 0; at < columns; at += run) {
            Hadamard.rotate(row, at, run);
        }
    }
}
