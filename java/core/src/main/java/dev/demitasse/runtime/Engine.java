package dev.demitasse.runtime;

import dev.demitasse.device.Device;
import dev.demitasse.device.TokenIds;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.NumericalException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Transformer;
import dev.demitasse.model.Weights;
import dev.demitasse.sampling.Draw;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.Sampler;
import dev.demitasse.sampling.SamplingOptions;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntPredicate;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Runs the sequences of a model: {@code step} is schedule, forward, sample. It has no thread of its own: whichever
 * caller waits for a token takes the lock and steps for all, so that concurrent sessions are decoded together.
 * Thread-safe.
 */
public final class Engine implements AutoCloseable {
    private final ModelConfig config;
    private final Device device;
    private final Transformer transformer;
    private final KvCache cache;
    private final Scheduler scheduler;
    private final Stepper stepper;
    private final PrefixSharing sharing;
    private final Snapshots snapshots;
    private final int contextLength;
    private final ReentrantLock lock = new ReentrantLock(true);
    private boolean closed;

    /** How long a caller waits for another one's text to be scored, which holds what its sequence needs. */
    private static final long WAITING_NANOSECONDS = 200_000;
    /** Drafts of a pass, at most, where nobody says how many. */
    private static final int DRAFTS = 8;
    /** The same on a device that runs beside the host: more rows of a sequence take what rounds prompts more. */
    private static final int DRAFTS_BESIDE = 6;

    /**
     * Sizes of an engine.
     *
     * @param contextLength positions a sequence may have
     * @param sequences sequences of full length that the cache holds at once
     * @param batchRows rows of a forward pass at most
     * @param promptChunk rows of one prompt in a forward pass at most
     * @param kvType how the cache stores numbers
     * @param rotated whether it stores keys and values rotated
     */
    public record Limits(
            int contextLength, int sequences, int batchRows, int promptChunk, KvType kvType, boolean rotated) {}

    /** Receives the logits of one row. */
    @FunctionalInterface
    public interface LogitsVisitor {
        /** Takes the logits at {@code position}; the array is used again. */
        void visit(int position, float[] logits);
    }

    /**
     * What tokens are for.
     *
     * @param isEnd tells those that end a generation
     * @param suppressed those that are never generated; scores of texts know them all the same
     */
    public record Roles(IntPredicate isEnd, int... suppressed) {}

    /** An engine that drafts as many tokens as pay. */
    public Engine(ModelConfig config, Weights weights, Device device, Limits limits, Roles roles) {
        this(config, weights, device, limits, roles, new Drafts());
    }

    /** An engine that drafts as many tokens as {@code drafts} says. */
    public Engine(ModelConfig config, Weights weights, Device device, Limits limits, Roles roles, Drafts drafts) {
        this.config = config;
        this.contextLength = limits.contextLength;
        long pages = (long) KvCache.pagesFor(limits.contextLength) * limits.sequences;
        if (pages > Integer.MAX_VALUE) {
            throw new UsageException("A cache of " + limits.sequences + " sessions of " + limits.contextLength
                    + " positions is larger than there can be; ask for fewer sessions.");
        }
        this.cache = new KvCache(
                device,
                config.stores(weights.drafts()).stream()
                        .map(cache -> new KvShape(
                                cache.layers(), cache.kvHeads(), cache.headDim(), (int) pages, limits.kvType))
                        .toList(),
                config.recurrent() == null ? 0 : limits.sequences);
        this.device = device;
        try {
            this.transformer = new Transformer(
                    config,
                    weights,
                    device,
                    new Transformer.Room(
                            limits.batchRows, limits.contextLength, limits.sequences, limits.rotated, true));
        } catch (RuntimeException | Error e) {
            cache.close();
            throw e;
        }
        this.scheduler = new Scheduler(
                cache, limits.batchRows, limits.promptChunk, contextLength, drafts, transformer.hasStates());
        try {
            this.stepper =
                    new Stepper(device, transformer, cache, scheduler, drafts, limits.batchRows, contextLength, roles);
            this.sharing = new PrefixSharing(device, transformer, cache, scheduler);
            this.snapshots = new Snapshots(lock, this::requireOpen, device, transformer, cache, scheduler, limits);
        } catch (RuntimeException | Error e) {
            transformer.close();
            cache.close();
            throw e;
        }
    }

    /** Bytes of the cache of keys and values on the device. */
    public long cacheBytes() {
        return cache.bytes();
    }

    /** The share of the cache that sequences hold, 0 to 1: those that are idle among them, and not those closed. */
    public double cacheUse() {
        lock.lock();
        try {
            int spare = closed ? 0 : cache.freePages() + cache.heldByAlone(scheduler.retired());
            return closed ? 0 : 1 - (double) spare / cache.pages();
        } finally {
            lock.unlock();
        }
    }

    /** Positions that a sequence may have. */
    public int contextLength() {
        return contextLength;
    }

    /**
     * Starts generating after {@code prompt}. The part of the prompt that the sequence's cache already holds is not
     * computed again.
     *
     * @param drafted how many tokens to draft a pass, at most; below 0 for as many as pay, where the device does not
     *     run beside the host
     * @return how many tokens of the prompt need not be computed, since they are cached
     * @throws ContextFullException where the prompt leaves no room for a token
     */
    public int begin(
            Sequence sequence,
            int[] prompt,
            SamplingOptions sampling,
            int maximumTokens,
            int logprobs,
            int drafted,
            boolean endsAtEnd) {
        return begin(sequence, prompt, new Sampler(sampling), maximumTokens, logprobs, drafted, endsAtEnd);
    }

    /** The same, with a sampler of the generation's own. */
    public int begin(
            Sequence sequence,
            int[] prompt,
            Sampler sampler,
            int maximumTokens,
            int logprobs,
            int drafted,
            boolean endsAtEnd) {
        if (prompt.length == 0) {
            throw new UsageException("The prompt has no tokens; give at least one.");
        }
        if (prompt.length >= contextLength) {
            boolean longest = contextLength >= config.contextLength();
            throw new ContextFullException("The prompt has " + prompt.length + " tokens; the context has room for "
                    + contextLength + ", and one must be left. Shorten it"
                    + (longest
                            ? "; the model was trained for no more."
                            : ", or load the model with a longer context."));
        }
        requireTokens(prompt);
        requireOutside();
        lock.lock();
        try {
            requireOpen();
            if (sequence.closed()) {
                throw new UsageException("The session is closed.");
            }
            stepper.replace(sequence, prompt, sharing.adopt(sequence, prompt));
            cache.release(sequence.pages, sequence.cached());
            int entries = Math.min(logprobs, config.vocabulary());
            sequence.begin(new Sequence.Request(sampler, maximumTokens, entries, drafts(drafted), endsAtEnd));
            if (maximumTokens == 0) {
                sequence.finish(FinishReason.LENGTH);
                scheduler.remove(sequence);
            } else {
                start(sequence);
            }
            return sequence.cached();
        } finally {
            lock.unlock();
        }
    }

    private void start(Sequence sequence) {
        scheduler.hold(sequence); // nobody takes its pages
        try {
            sharing.own(sequence);
        } catch (RuntimeException | Error e) {
            sequence.finish(FinishReason.CANCELLED);
            scheduler.letGo(sequence);
            throw e;
        }
        scheduler.add(sequence);
    }

    /** Makes {@code to}, which is new, what {@code from} is: it holds the same pages until either goes on. */
    public void fork(Sequence from, Sequence to) {
        requireOutside();
        lock.lock();
        try {
            requireOpen();
            sharing.fork(from, to);
        } finally {
            scheduler.letGo(to);
            lock.unlock();
        }
    }

    /** Copies what sequences have cached to where it outlives this, and back. */
    public Snapshots snapshots() {
        return snapshots;
    }

    private int drafts(int wanted) {
        return device.runsAhead() ? Math.clamp(wanted, 0, DRAFTS_BESIDE) : wanted < 0 ? DRAFTS : wanted;
    }

    /**
     * What came of a sequence.
     *
     * @param steps since the one that was asked for
     * @param passes of the model that all of its tokens came of
     * @param finish null while it goes on
     */
    public record Progress(
            List<Sequence.Step> steps, int passes, @Nullable FinishReason finish) {}

    /**
     * Waits for news of a sequence, stepping for all sequences meanwhile. The lock is free between steps, so that other
     * callers can begin, end and close theirs.
     *
     * @param ending is asked before every step: why the generation is to end now, or null while it is to go on
     */
    public Progress await(Sequence sequence, int seen, Supplier<@Nullable FinishReason> ending) {
        while (true) {
            boolean waits;
            lock.lock();
            try {
                requireOpen();
                FinishReason reason = sequence.finish() == null ? ending.get() : null;
                if (reason != null) {
                    end(sequence, reason);
                }
                boolean works = hasNews(sequence, seen) || stepper.step();
                waits = !works;
                if (hasNews(sequence, seen)) {
                    return progress(sequence, seen);
                }
            } finally {
                lock.unlock();
            }
            if (waits) {
                LockSupport.parkNanos(WAITING_NANOSECONDS);
            }
        }
    }

    private static boolean hasNews(Sequence sequence, int seen) {
        return sequence.finish() != null || sequence.generated() > seen;
    }

    private static Progress progress(Sequence sequence, int seen) {
        switch (sequence.failure()) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case Throwable e -> throw new IllegalStateException(e);
        }
        return new Progress(sequence.steps(seen), sequence.passes(), sequence.finish());
    }

    /** Ends a sequence's generation, if one runs. */
    public void end(Sequence sequence, FinishReason reason) {
        lock.lock();
        try {
            if (!closed && sequence.finish() == null) {
                sequence.finish(reason);
                scheduler.remove(sequence);
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Ends a sequence's generation, and refuses further ones. What it has cached is there for those of its salt, until
     * others need its pages.
     */
    public void close(Sequence sequence) {
        lock.lock();
        try {
            sequence.close();
            if (!closed) {
                scheduler.release(sequence);
            }
        } finally {
            lock.unlock();
        }
    }

    /** Sequences that may hold pages of the cache and do not run. */
    public int idleSequences() {
        lock.lock();
        try {
            return scheduler.idle();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Runs a text through the model without generating, for scoring.
     *
     * @param tokens at most a context's length
     * @param from the first position whose logits are wanted
     * @param visitor receives the logits of every position from {@code from} on, which predict the token after it
     * @throws NumericalException where all logits of a position are NaN
     */
    public void evaluate(int[] tokens, int from, LogitsVisitor visitor) {
        Sequence sequence = new Sequence();
        try {
            evaluate(sequence, tokens, from, visitor);
        } finally {
            close(sequence);
        }
    }

    /** The same for a text that goes on: what the sequence's cache still holds of it is not computed again. */
    public void evaluate(Sequence sequence, int[] tokens, int from, LogitsVisitor visitor) {
        if (tokens.length > contextLength) {
            throw new ContextFullException(tokens.length + " tokens do not fit a context of " + contextLength + ".");
        }
        requireTokens(tokens);
        requireOutside();
        if (tokens.length == 0) {
            return;
        }
        hold(sequence, tokens);
        try {
            while (sequence.pending() > 0) {
                if (!evaluate(sequence, from, visitor)) {
                    LockSupport.parkNanos(WAITING_NANOSECONDS);
                }
            }
        } finally {
            letGo(sequence);
        }
    }

    private void hold(Sequence sequence, int[] tokens) {
        lock.lock();
        try {
            requireOpen();
            if (sequence.closed()) {
                throw new UsageException("The scoring is closed.");
            }
            stepper.replace(sequence, tokens, 0);
            scheduler.hold(sequence);
        } finally {
            lock.unlock();
        }
    }

    private void letGo(Sequence sequence) {
        lock.lock();
        try {
            if (!closed) {
                scheduler.letGo(sequence);
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * One batch of a text; other callers run between batches. False where all states belong to others, and there was
     * nothing to do for them.
     */
    private boolean evaluate(Sequence sequence, int from, LogitsVisitor visitor) {
        lock.lock();
        try {
            requireOpen();
            int at = sequence.cached();
            int count = Math.min(transformer.maximumRows(), sequence.pending());
            while (!cache.reserve(sequence.pages, at + count)) {
                if (scheduler.reclaim()) {
                    continue;
                }
                if (sequence.pages.size() == 0 && !cache.hasFirstPage()) {
                    return stepper.step(); // until one of them has ended
                }
                throw new ContextFullException(
                        "Running sessions, and texts that are being scored, hold the whole key-value cache; try"
                                + " again when one has ended.");
            }
            Batch.Builder builder = new Batch.Builder(count);
            builder.add(sequence, count);
            Batch batch = builder.build();
            int first = Math.max(0, from - at);
            int[] wanted = IntStream.range(first, count).toArray();
            float[] logits = new float[config.vocabulary()];
            TokenIds ids = new TokenIds.Given(batch.ids());
            stepper.restoreState(sequence);
            stepper.forgetState(sequence); // until all has gone well
            transformer.forward(ids, batch.rows(), cache.stores(), wanted, (done, rows, buffer) -> {
                for (int i = 0; i < rows; i++) {
                    buffer.read((long) i * logits.length * Float.BYTES, MemorySegment.ofArray(logits));
                    if (Sampler.argmax(logits) == Draw.NONE) {
                        throw new NumericalException("No logit after position " + (at + wanted[done + i])
                                + " is a number (NaN): the weights, or 16-bit numbers of the cache, overflow.");
                    }
                    visitor.visit(at + wanted[done + i], logits);
                }
            });
            sequence.cached(at + count);
            return true;
        } finally {
            lock.unlock();
        }
    }

    /**
     * A visitor of logits cannot ask the engine that waits for it: it would overwrite the numbers of the pass that
     * runs.
     */
    private void requireOutside() {
        if (lock.isHeldByCurrentThread()) {
            throw new UsageException(
                    "The model is scoring a text on this thread; ask it again when that has returned.");
        }
    }

    private void requireTokens(int[] tokens) {
        for (int id : tokens) {
            if (id < 0 || id >= config.vocabulary()) {
                throw new UsageException("Token " + id + " is not in the vocabulary of " + config.vocabulary() + ".");
            }
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new UsageException("The model is closed.");
        }
    }

    /** Waits for the step that runs, then frees the cache and the buffers. */
    @Override
    public void close() {
        lock.lock();
        try {
            if (!closed) {
                closed = true;
                transformer.close();
                stepper.close();
                cache.close();
            }
        } finally {
            lock.unlock();
        }
    }
}
