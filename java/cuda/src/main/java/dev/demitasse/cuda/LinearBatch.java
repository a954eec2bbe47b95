package dev.demitasse.cuda;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Multiplications of the same activations that wait to become one launch: up to three that the same kernel takes in blocks of the same
 * kind (a layer's queries, keys and values, or gate and up).
 */
final class LinearBatch {
    private static final int MOST = 3;
    private static final int ARGUMENTS = 15;
    private static final int ROWS = 10; // words of LinearArgs
    private static final int OUTPUTS = 3;

    /** How often a block does its work at most: then starting it costs little. */
    private static final int MOST_REPEATS = 16;

    private final LaunchList launches;
    private final int residentBlocks;
    private final List<LaunchList.Launch> waiting = new ArrayList<>();

    /** {@code residentBlocks}: about how many blocks of gemv a GPU holds at a time. */
    LinearBatch(LaunchList launches, int residentBlocks) {
        this.launches = launches;
        this.residentBlocks = residentBlocks;
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
        int[] blocks = waiting.stream().mapToInt(LaunchList.Launch::x).toArray();
        int repeat = first.kernel().startsWith("gemv") ? repeat(blocks) : 1;
        for (int i = 0; i < blocks.length; i++) {
            blocks[i] = LinearLaunches.pieces(blocks[i], repeat);
        }
        record(first.kernel(), blocks, repeat, first.y(), first.z(), first.threads(), first.sharedBytes());
        if (first.z() > 1) {
            int[] pieces = waiting.stream()
                    .mapToInt(launch ->
                            LinearLaunches.pieces(launch.arguments()[ROWS] * launch.arguments()[OUTPUTS], 256))
                    .toArray();
            record("linear_finish", pieces, 1, 1, 1, 256, 0);
        }
        waiting.clear();
    }

    /** How often a block works, so that there are still twice as many as a GPU holds. */
    private int repeat(int[] blocks) {
        return Math.clamp(Arrays.stream(blocks).sum() / (2 * residentBlocks), 1, MOST_REPEATS);
    }

    /** The words of {@code LinearBatch} in {@code cuda/include/demitasse/weights.cuh}. */
    private void record(String kernel, int[] blocks, int repeat, int y, int z, int threads, int sharedBytes) {
        long[] words = new long[MOST * (ARGUMENTS + 1) + 1];
        words[words.length - 1] = repeat;
        int total = 0;
        for (int i = 0; i < blocks.length; i++) {
            System.arraycopy(waiting.get(i).arguments(), 0, words, i * ARGUMENTS, ARGUMENTS);
            words[MOST * ARGUMENTS + i] = blocks[i];
            total += blocks[i];
        }
        launches.add(kernel, total, y, z, threads, sharedBytes, words);
    }
}
