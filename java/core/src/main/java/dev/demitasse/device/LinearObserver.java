package dev.demitasse.device;

/** Sees what matrices are multiplied by: calibration collects its statistics so. */
@FunctionalInterface
public interface LinearObserver {
    /**
     * A matrix of a model file.
     *
     * @param tensor the name of the tensor that it lies in
     * @param index which of the matrices there: the expert, or the head; 0 where it is the only one
     * @param count matrices that lie in the tensor
     */
    record Matrix(String tensor, int index, int count) {}

    /**
     * Takes the inputs of one matrix.
     *
     * @param matrix what is multiplied
     * @param x rows × columns from its beginning on; the array may be longer, and is used again
     * @param rows how many rows
     * @param columns elements of a row: the inputs of the matrix
     */
    void observe(Matrix matrix, float[] x, int rows, int columns);
}
