package dev.demitasse.cuda;

import java.util.ArrayList;
import java.util.List;

/**
 * Multiplications of the same activations that wait to become one launch: up to three that the same kernel takes in blocks of the same
 * kind (a layer's queries, keys and values, or gate and up).
 */
final class LinearBatch {
    private static final int MOST = 3;
    private static final int ARGUMENTS = 16;
    private static final int ROWS = 11; // words of LinearArgs
    private static final int OUTPUTS = 3;

    private final LaunchList launches;
    private final List<LaunchList.Launch> waiting = new ArrayList<>();

    LinearBatch(LaunchList launches) {
        this.launches = launches;
    }

    /** Adds a multiplication; {@code z} above 1: over that many segments, which {@code linear_finish} adds up. */
    void add(String kernel, int x, int y, int z, int threads, int sharedBytes, long[] arguments) {
        LaunchList.Launch launch = new LaunchList.Launch(kernel, x, y, z, threads, sharedBytes, arguments, null);
        if (!waiting.isEmpty()) {
            LaunchList.Launch first = waiting.getFirst();
            if (waiting.size() == MOST || !first.kernel().equals(kernel) || first.y() != y || first.z() != z) {
                flush();
            }
        }
        waiting.add(launch);
    }

    /** Records what waits. */
    void flush() {
        if (waiting.isEmpty()) {
            return;
        }
        LaunchList.Launch first = waiting.getFirst();
        int[] blocks = new int[waiting.size()];
        int[] pieces = new int[waiting.size()];
        for (int i = 0; i < blocks.length; i++) {
            LaunchList.Launch launch = waiting.get(i);
            blocks[i] = launch.x();
            pieces[i] = LinearLaunches.pieces(launch.arguments()[ROWS] * launch.arguments()[OUTPUTS], 256);
        }
        record(first.kernel(), blocks, first.y(), first.z(), first.threads(), first.sharedBytes());
        if (first.z() > 1) {
            record("linear_finish", pieces, 1, 1, 256, 0);
        }
        waiting.clear();
    }

    /** The words of {@code LinearBatch} in {@code cuda/include/demitasse/weights.cuh}. */
    private void record(String kernel, int[] blocks, int y, int z, int threads, int sharedBytes) {
        long[] words = new long[MOST * (ARGUMENTS + 1)];
        int total = 0;
        for (int i = 0; i < blocks.length; i++) {
            System.arraycopy(waiting.get(i).arguments(), 0, words, i * ARGUMENTS, ARGUMENTS);
            words[MOST * ARGUMENTS + i] = blocks[i];
            total += blocks[i];
        }
        launches.add(kernel, total, y, z, threads, sharedBytes, words);
    }
}
