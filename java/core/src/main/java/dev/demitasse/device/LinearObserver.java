package dev.demitasse.device;

/** Sees what matrices are multiplied by: calibration collects its statistics so. */
@FunctionalInterface
public interface LinearObserver {
    /**
     * Takes the inputs of one matrix.
     *
     * @param weight the matrix's name in the model file
     * @param x rows × columns, the array is used again
     */
    void observe(String weight, float[] x, int rows, int columns);
}
