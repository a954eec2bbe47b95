package dev.demitasse.quantize.advise;

import dev.demitasse.device.Buffer;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Times operations of a device, all of them in turns, so that what disturbs the machine for a moment does not fall on
 * one of them alone. Operations may be deferred: reading a result is what makes them happen.
 */
final class Stopwatch {
    private static final int ROUNDS = 7;
    /** A list that is timed takes about that long, so that what the host adds to it counts for little. */
    private static final double LIST_SECONDS = 1e-3;

    private static final int MOST = 256;
    /** Until then compilers and frequencies may still change what an operation takes. */
    private static final double WARM_SECONDS = 0.35;

    /** No round begins later: a slow device is measured with fewer. */
    private static final double MOST_SECONDS = 1.5;

    private final List<Timing> timings = new ArrayList<>();

    /** An operation and how long it took. */
    static final class Timing {
        private final Buffer result;
        private final Runnable operation;
        private final double[] seconds = new double[ROUNDS];
        private int count = 1;
        private int rounds;

        private Timing(Buffer result, Runnable operation) {
            this.result = result;
            this.operation = operation;
        }

        private double list() {
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) {
                operation.run();
            }
            result.read(0, MemorySegment.ofArray(new float[1]));
            return (System.nanoTime() - start) * 1e-9 / count;
        }

        /** Seconds of the operation: the median of the rounds. */
        double seconds() {
            double[] sorted = Arrays.copyOf(seconds, rounds);
            Arrays.sort(sorted);
            return sorted[rounds / 2];
        }
    }

    /**
     * Takes up an operation.
     *
     * @param result a buffer that it writes
     */
    Timing add(Buffer result, Runnable operation) {
        Timing timing = new Timing(result, operation);
        timings.add(timing);
        return timing;
    }

    /** Times all operations that were taken up. */
    void run() {
        long start = System.nanoTime();
        timings.getFirst().list(); // what the others are compared with is not to be the one that is not compiled yet
        round();
        if (seconds(start) > MOST_SECONDS) {
            return; // so slow a device that warming it up changes nothing
        }
        while (seconds(start) < WARM_SECONDS) {
            timings.forEach(Timing::list);
        }
        for (Timing timing : timings) {
            timing.count = (int) Math.clamp(LIST_SECONDS / timing.list(), 1, MOST);
            timing.rounds = 0;
        }
        for (int i = 0; i == 0 || i < ROUNDS && seconds(start) < MOST_SECONDS; i++) {
            round();
        }
    }

    private static double seconds(long start) {
        return (System.nanoTime() - start) * 1e-9;
    }

    private void round() {
        for (Timing timing : timings) {
            timing.seconds[timing.rounds++] = timing.list();
        }
    }
}
