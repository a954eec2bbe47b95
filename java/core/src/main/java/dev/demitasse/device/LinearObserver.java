package dev.demitasse.device;

/** Sees what matrices are multiplied by: calibration collects its statistics so. */
@FunctionalInterface
public interface LinearObserver {
    /**
     * Takes the inputs of one matrix.
     *
     * @param weight the matrix's name in the model file
     * @param x rows × columns from its beginning on; the array may be longer, and is used again
     * @param rows how many rows
     * @param columns elements of a row: the inputs of the matrix
     */
    void observe(String weight, float[] x, int rows, int columns);
}
