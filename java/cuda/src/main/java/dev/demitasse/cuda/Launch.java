package dev.demitasse.cuda;

/** What a list of steps becomes: launches of kernels, copies, and calls of libraries, in the order of the stream. */
sealed interface Launch {
    /**
     * A kernel's launch.
     *
     * @param kernel its name
     * @param grid its blocks and threads
     * @param arguments the words of the kernel's structure
     */
    record Kernel(String kernel, Grid grid, long[] arguments) implements Launch {}

    /**
     * Blocks along three dimensions, threads of a block, and its bytes of dynamic shared memory.
     */
    record Grid(int x, int y, int z, int threads, int sharedBytes) {
        /** Blocks in a row, without dynamic shared memory. */
        static Grid of(int blocks, int threads) {
            return new Grid(blocks, 1, 1, threads, 0);
        }

        boolean isEmpty() {
            return x == 0 || y == 0 || z == 0;
        }
    }

    /**
     * Work that a library enqueues on the stream, and that no graph can hold.
     *
     * @param action enqueues it
     */
    record Call(Runnable action) implements Launch {}

    /** From the step's data to device memory. */
    record Copy(long to, long from, int bytes) implements Launch {}
}
