package dev.demitasse.opencl;

/** What a list of steps becomes: kernels and copies, in the order of the queue. Addresses are the context's. */
sealed interface Launch {
    /**
     * A kernel's launch.
     *
     * @param kernel which one
     * @param grid work-groups along three dimensions
     * @param buffers addresses within the buffers that are its first arguments; 0 for none
     * @param words its structure, the last argument
     */
    record Kernel(Programs.Key kernel, Grid grid, long[] buffers, long[] words) implements Launch {}

    /** Work-groups along three dimensions, and items of each along the first. */
    record Grid(long x, long y, long z, int items) {
        boolean isEmpty() {
            return x == 0 || y == 0 || z == 0;
        }
    }

    /** From device memory to device memory. */
    record Copy(long to, long from, int bytes) implements Launch {}

    /** From device memory to an address of the host. */
    record Read(long from, long host, int bytes) implements Launch {}
}
