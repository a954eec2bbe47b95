package dev.demitasse;

import dev.demitasse.exception.UsageException;
import dev.demitasse.runtime.Engine;
import dev.demitasse.runtime.Sequence;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Times a model's forward passes with random tokens, as applications run them: prompts, and steps in which each of
 * several sessions gets a token. Used by one thread while no session runs.
 */
public final class StepTimer {
    private final Model model;
    private final Engine engine;
    private final SplittableRandom random = new SplittableRandom(20261127);

    StepTimer(Model model, Engine engine) {
        this.model = model;
        this.engine = engine;
    }

    /**
     * {@return seconds of a prompt of {@code tokens} tokens and of the token after it}
     *
     * @param tokens length of the prompt, at least 1
     * @param runs how many are timed
     */
    public double[] prefill(int tokens, int runs) {
        double[] seconds = new double[runs];
        for (int run = 0; run < runs; run++) {
            Sequence sequence = new Sequence();
            try {
                long start = System.nanoTime();
                engine.begin(sequence, tokens(tokens), SamplingOptions.GREEDY, 1, 0, 0, false);
                advance(sequence, 0, 1);
                seconds[run] = (System.nanoTime() - start) * 1e-9;
            } finally {
                engine.close(sequence);
            }
        }
        return seconds;
    }

    /**
     * Puts random tokens into sessions.
     *
     * @param count sessions, at least 1
     * @param depth tokens that each of them has before its answer, at least 1
     * @return their steps, which can be timed again and again
     */
    public Sessions sessions(int count, int depth) {
        if (count < 1 || depth < 1) {
            throw new UsageException(
                    "Timing needs at least one session of one token, not " + count + " of " + depth + ".");
        }
        return new Sessions(count, depth);
    }

    /** Sessions that decode together. */
    public final class Sessions implements AutoCloseable {
        private final List<Sequence> sequences = new ArrayList<>();
        private final List<int[]> prompts = new ArrayList<>();

        private Sessions(int count, int depth) {
            for (int i = 0; i < count; i++) {
                sequences.add(new Sequence());
                prompts.add(tokens(depth));
            }
        }

        /**
         * {@return seconds of steps that give each session a token, from its first tokens on; a run before is
         * forgotten}
         *
         * @param warm steps that are not timed, at least 1
         * @param steps steps that are, at least 1
         */
        public double[] decode(int warm, int steps) {
            if (warm < 1 || steps < 1) {
                throw new UsageException("Timing needs at least one step before and one that is timed.");
            }
            try {
                for (int i = 0; i < sequences.size(); i++) {
                    int room = engine.contextLength() - prompts.get(i).length;
                    engine.begin(sequences.get(i), prompts.get(i), SamplingOptions.GREEDY, room, 0, 0, false);
                }
                for (Sequence sequence : sequences) {
                    advance(sequence, 0, 1); // all prompts are in the cache
                }
                Sequence first = sequences.getFirst();
                int seen = advance(first, 0, 1);
                seen = advance(first, seen, seen + warm);
                double[] seconds = new double[steps];
                for (int step = 0; step < steps; step++) {
                    long start = System.nanoTime();
                    seen = advance(first, seen, seen + 1);
                    seconds[step] = (System.nanoTime() - start) * 1e-9;
                }
                return seconds;
            } finally {
                sequences.forEach(sequence -> engine.end(sequence, FinishReason.CANCELLED));
            }
        }

        /** Gives the caches back. */
        @Override
        public void close() {
            sequences.forEach(engine::close);
        }
    }

    /** Waits until {@code sequence} has {@code wanted} tokens of an answer; returns how many it has. */
    private int advance(Sequence sequence, int seen, int wanted) {
        int now = seen;
        while (now < wanted) {
            Engine.Progress progress = engine.await(sequence, now, () -> null);
            if (progress.steps().isEmpty()) {
                throw new UsageException("A session of " + sequence.length()
                        + " tokens has no room for another; load the model with a longer context.");
            }
            now += progress.steps().size();
        }
        return now;
    }

    private int[] tokens(int count) {
        return random.ints(count, 0, model.vocabularySize()).toArray();
    }
}
