package dev.demitasse.quantize.advise;

import dev.demitasse.device.Buffer;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Times operations of a device, in turns where they may be, so that what disturbs the machine for a moment does not
 * fall on one of them alone. Operations may be deferred: reading a result is what makes them happen.
 */
final class Stopwatch {
    private static final int ROUNDS = 5;
    /** Rounds of what has settled, and after how long there are no more of them. */
    private static final int LEAST_ROUNDS = 3;

    private static final double STEADY_SECONDS = 0.02;
    /** A list that is timed takes about that long, so that what the host adds to it counts for little. */
    private static final double LIST_SECONDS = 6e-4;

    private static final int MOST = 256;
    /** Until then compilers and frequencies may still change what an operation takes. */
    private static final double WARM_SECONDS = 0.35;

    /** No round begins later: a slow device is measured with fewer. */
    private static final double MOST_SECONDS = 1;

    /** Passes after which caches hold what they will of what is read over and over, or so many seconds. */
    private static final int MOST_PASSES = 24;

    /** None begins to settle later. */
    private static final double MOST_SETTLING_SECONDS = 2;

    private static final double SETTLING_SECONDS = 0.08;
    /** It has settled earlier after so many passes that were not quicker than {@link #QUICKER} of the quickest. */
    private static final int PASSES = 4;

    private static final double QUICKER = 0.98;

    private final List<Timing> timings = new ArrayList<>();

    /** An operation and how long it took. */
    static final class Timing {
        private final Buffer result;
        private final Runnable operation;
        private final double[] seconds = new double[ROUNDS];
        private int count = 1;
        private int rounds;
        private boolean steady;

        private Timing(Buffer result, Runnable operation) {
            this.result = result;
            this.operation = operation;
        }

        /**
         * Has it run alone, pass after pass, until it is no longer quicker each time: a processor's last cache takes up
         * to twenty passes to keep what is read over and over.
         */
        Timing steady() {
            steady = true;
            return this;
        }

        private void settle() {
            long start = System.nanoTime();
            double best = Double.POSITIVE_INFINITY;
            int since = 0;
            for (int i = 0; i < MOST_PASSES && since < PASSES && Stopwatch.seconds(start) < SETTLING_SECONDS; i++) {
                double now = list();
                since = now < best * QUICKER ? 0 : since + 1;
                best = Math.min(best, now);
            }
            long settled = System.nanoTime();
            rounds = 0;
            while (rounds < LEAST_ROUNDS || rounds < ROUNDS && Stopwatch.seconds(settled) < STEADY_SECONDS) {
                seconds[rounds++] = list();
            }
        }

        /** Runs so often in a list that the list takes long enough; its first run takes longer than the others. */
        private void lengthen() {
            while (count < MOST && count * list() < LIST_SECONDS) {
                count *= 2;
            }
        }

        private double list() {
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) {
                operation.run();
            }
            result.read(0, MemorySegment.ofArray(new float[1]));
            return Stopwatch.seconds(start) / count;
        }

        /** Whether there was time for it. */
        boolean isTimed() {
            return rounds > 0;
        }

        /** Seconds of the operation: the median of the rounds; their lower quartile where they were not in turns. */
        double seconds() {
            double[] sorted = Arrays.copyOf(seconds, rounds);
            Arrays.sort(sorted);
            return sorted[rounds / (steady ? 4 : 2)];
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
        List<Timing> inTurns = timings.stream().filter(timing -> !timing.steady).toList();
        round(inTurns);
        if (seconds(start) > MOST_SECONDS) {
            return; // so slow a device that warming it up changes nothing, nor what its caches hold
        }
        while (seconds(start) < WARM_SECONDS) {
            inTurns.forEach(Timing::list);
        }
        for (Timing timing : timings) {
            if (timing.steady && seconds(start) < MOST_SETTLING_SECONDS) {
                timing.settle();
            }
        }
        long settled = System.nanoTime();
        for (Timing timing : inTurns) {
            timing.lengthen();
            timing.rounds = 0;
        }
        for (int i = 0; i == 0 || i < ROUNDS && seconds(settled) < MOST_SECONDS; i++) {
            round(inTurns);
        }
    }

    private static double seconds(long start) {
        return (System.nanoTime() - start) * 1e-9;
    }

    private static void round(List<Timing> timings) {
        for (Timing timing : timings) {
            timing.seconds[timing.rounds++] = timing.list();
        }
    }
}
