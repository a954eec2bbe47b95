package dev.demitasse.sampling;

import dev.demitasse.exception.UsageException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/** Chooses tokens for one sequence (see {@link SamplingOptions} for the order of the steps). Not thread-safe. */
public final class Sampler {
    /** What is chosen where nothing can come behind tokens that are only tried: those may be wrong. */
    public static final int UNDECIDED = -2;

    private final SamplingOptions options;
    private final @Nullable Constraint constraint;
    private final long seed;
    private long draws;

    /**
     * A sampler that starts at the options' seed.
     *
     * @param options how tokens are chosen
     */
    public Sampler(SamplingOptions options) {
        this(options, null);
    }

    /**
     * The same, for an answer whose tokens are constrained.
     *
     * @param options how tokens are chosen
     * @param constraint what may come next; null where anything may
     */
    public Sampler(SamplingOptions options, @Nullable Constraint constraint) {
        this.options = options;
        this.constraint = constraint;
        seed = options.seed() == SamplingOptions.RANDOM_SEED
                ? ThreadLocalRandom.current().nextLong()
                : options.seed();
    }

    /**
     * {@return the next token, where all of the history was accepted}
     *
     * @param logits one a token; changed by the penalties and the constraint
     * @param history tokens so far
     * @param length how many of {@code history} count
     */
    public int sample(float[] logits, int[] history, int length) {
        return sample(logits, history, length, 0);
    }

    /**
     * {@return the next token}
     *
     * @param logits one a token; changed by the penalties and the constraint
     * @param history tokens so far
     * @param length how many of {@code history} count
     * @param tried how many of those are only tried, and were not accepted
     * @throws UsageException where no token can come next
     */
    public int sample(float[] logits, int[] history, int length, int tried) {
        if (options.penalizes()) {
            penalize(logits, history, length);
        }
        Draw draw = next();
        if (constraint == null) {
            return draw.choose(logits);
        }
        try {
            constraint.restrict(logits, history, length - tried, tried);
        } catch (UsageException e) {
            if (tried > 0) {
                return UNDECIDED;
            }
            throw e;
        }
        int token = draw.choose(logits);
        if (token == Draw.NONE || logits[token] != Float.NEGATIVE_INFINITY) {
            return token;
        }
        for (float logit : logits) {
            if (Float.isNaN(logit)) {
                return Draw.NONE;
            }
        }
        if (tried > 0) {
            return UNDECIDED;
        }
        throw new UsageException("No token of the model's vocabulary can come next by the answer's grammar: it has none"
                + " for the characters that the grammar asks for.");
    }

    /**
     * A token was chosen, and counts.
     *
     * @param token its id
     */
    public void accept(int token) {
        if (constraint != null) {
            constraint.accept(token);
        }
    }

    /** {@return whether the constraint lets nothing follow but the end} */
    public boolean isComplete() {
        return constraint != null && constraint.isComplete();
    }

    /**
     * {@return the next draw, where logits are all it needs ({@link #byLogitsAlone}), so that a device can make it}
     */
    public Draw next() {
        return new Draw(options.temperature(), options.topK(), options.topP(), options.minP(), seed, draws++);
    }

    /**
     * Takes the last draws back: what they chose is not used.
     *
     * @param count how many draws
     */
    public void takeBack(int count) {
        draws -= count;
    }

    /** {@return whether neither penalties nor a constraint look at earlier tokens} */
    public boolean byLogitsAlone() {
        return !options.penalizes() && constraint == null;
    }

    /**
     * {@return the index of the largest element, the first of equals; NaN is none. {@link Draw#NONE} where all are NaN}
     *
     * @param values the elements, any number
     */
    public static int argmax(float[] values) {
        int best = 0;
        while (best < values.length && Float.isNaN(values[best])) {
            best++;
        }
        for (int i = best + 1; i < values.length; i++) {
            if (values[i] > values[best]) {
                best = i;
            }
        }
        return best == values.length ? Draw.NONE : best;
    }

    private void penalize(float[] logits, int[] history, int length) {
        Map<Integer, Integer> counts = new HashMap<>();
        for (int i = Math.max(0, length - options.penaltyWindow()); i < length; i++) {
            counts.merge(history[i], 1, Integer::sum);
        }
        counts.forEach((id, count) -> {
            float logit = logits[id];
            logit = logit > 0 ? logit / options.repeatPenalty() : logit * options.repeatPenalty();
            logits[id] = logit - count * options.frequencyPenalty() - options.presencePenalty();
        });
    }

    /**
     * {@return the indices of the {@code count} largest elements, largest first; equals in ascending order, NaN last}
     *
     * @param values the elements, any number
     * @param count how many are wanted; all where there are fewer
     */
    public static int[] mostLikely(float[] values, int count) {
        int k = Math.min(count, values.length);
        long[] heap = new long[k]; // a min-heap of (value, reversed index), so that the least of the kept is on top
        int size = 0;
        for (int i = 0; i < values.length; i++) {
            long entry = order(values[i]) << 32 | (Integer.MAX_VALUE - i);
            if (size < k) {
                heap[size++] = entry;
                if (size == k) {
                    for (int parent = k / 2 - 1; parent >= 0; parent--) {
                        siftDown(heap, parent);
                    }
                }
            } else if (k > 0 && entry > heap[0]) {
                heap[0] = entry;
                siftDown(heap, 0);
            }
        }
        Arrays.sort(heap);
        int[] indices = new int[k];
        for (int i = 0; i < k; i++) {
            indices[i] = Integer.MAX_VALUE - (int) heap[k - 1 - i];
        }
        return indices;
    }

    /** A signed integer that orders as the floating-point number; NaN is below all numbers. */
    private static long order(float value) {
        if (Float.isNaN(value)) {
            return Integer.MIN_VALUE;
        }
        int bits = Float.floatToIntBits(value);
        return bits >= 0 ? bits : bits ^ Integer.MAX_VALUE;
    }

    private static void siftDown(long[] heap, int from) {
        int parent = from;
        while (true) {
            int child = 2 * parent + 1;
            if (child >= heap.length) {
                return;
            }
            if (child + 1 < heap.length && heap[child + 1] < heap[child]) {
                child++;
            }
            if (heap[parent] <= heap[child]) {
                return;
            }
            long moved = heap[parent];
            heap[parent] = heap[child];
            heap[child] = moved;
            parent = child;
        }
    }
}
