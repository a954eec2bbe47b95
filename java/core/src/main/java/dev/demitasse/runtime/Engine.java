package dev.demitasse.runtime;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.TokenBuffer;
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
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.sampling.Sampler;
import dev.demitasse.sampling.SamplingOptions;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
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
    private final Drafts drafts;
    private final IntPredicate isEnd;
    private final int contextLength;
    private final List<TokenBuffer> tokens = new ArrayList<>(); // two: one is chosen while the other is read
    private @Nullable Flight ahead; // the step that is under way, where the one before it has landed
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

    /** An engine; {@code isEnd} tells the tokens that end a generation. */
    public Engine(ModelConfig config, Weights weights, Device device, Limits limits, IntPredicate isEnd) {
        this.config = config;
        this.isEnd = isEnd;
        this.contextLength = limits.contextLength;
        long pages = (long) KvCache.pagesFor(limits.contextLength) * limits.sequences;
        if (pages > Integer.MAX_VALUE) {
            throw new UsageException("A cache of " + limits.sequences + " sessions of " + limits.contextLength
                    + " positions is larger than there can be; ask for fewer sessions.");
        }
        this.cache = new KvCache(
                device,
                config.caches().stream()
                        .map(cache -> new KvShape(
                                cache.layers(), cache.kvHeads(), cache.headDim(), (int) pages, limits.kvType))
                        .toList(),
                config.recurrent() == null ? 0 : limits.sequences);
        this.device = device;
        try {
            tokens.add(device.allocateTokens(limits.batchRows));
            tokens.add(device.allocateTokens(limits.batchRows));
            this.transformer = new Transformer(
                    config,
                    weights,
                    device,
                    new Transformer.Room(
                            limits.batchRows, limits.contextLength, limits.sequences, limits.rotated, true));
        } catch (RuntimeException | Error e) {
            tokens.forEach(TokenBuffer::close);
            cache.close();
            throw e;
        }
        this.drafts = new Drafts();
        this.scheduler = new Scheduler(
                cache, limits.batchRows, limits.promptChunk, contextLength, transformer.hasStates() ? null : drafts);
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
     *     run beside the host. A model with states, which cannot be taken back, drafts none
     * @throws ContextFullException where the prompt leaves no room for a token
     */
    public void begin(
            Sequence sequence,
            int[] prompt,
            SamplingOptions sampling,
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
            replace(sequence, prompt);
            cache.release(sequence.pages, sequence.cached());
            int entries = Math.min(logprobs, config.vocabulary());
            sequence.begin(
                    new Sequence.Request(new Sampler(sampling), maximumTokens, entries, drafts(drafted), endsAtEnd));
            if (maximumTokens == 0) {
                sequence.finish(FinishReason.LENGTH);
            } else {
                scheduler.add(sequence);
            }
        } finally {
            lock.unlock();
        }
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
                boolean works = hasNews(sequence, seen) || step();
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

    /** Ends a sequence's generation, refuses further ones, and takes its pages back. */
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
     * Schedule, forward, commit: only what was run counts as cached. Whatever goes wrong ends the sequences that it
     * concerns, and no others.
     *
     * <p>On a device that runs beside the host the next step is under way before this one's tokens are read, where it
     * can be told: its tokens go from sampling to embedding on the device. A sequence that ends meanwhile has no use
     * for its row, which lies behind what counts as cached.
     *
     * @return whether there was something to do
     */
    private boolean step() {
        long begin = System.nanoTime();
        Flight flight = ahead;
        ahead = null;
        if (flight == null || flight.live() == 0) {
            Batch batch = scheduler.next();
            if (batch.rows().count() == 0) {
                return false;
            }
            flight = launch(batch, new TokenIds.Given(batch.ids()));
        }
        TokenBuffer choices = flight.choices;
        boolean runsAhead = device.runsAhead() && !transformer.readsBack() && !transformer.hasStates();
        if (choices != null && flight.failure == null && runsAhead && flight.isForAll()) {
            Batch next = scheduler.following(flight.batch);
            ahead = next == null ? null : launch(next, new TokenIds.Chosen(choices));
        }
        land(flight);
        if (flight.failure == null && flight.batch.isDecoding()) {
            drafts.timed(flight.batch.rows().count(), System.nanoTime() - begin);
        }
        return true;
    }

    /** Starts a batch, and the choosing of its tokens where no host has to see the logits. */
    private Flight launch(Batch batch, TokenIds ids) {
        Flight flight = new Flight(batch);
        try {
            Transformer.LogitsSink sink;
            if (batch.sampled().stream().allMatch(Engine::needsNoLogits)) {
                TokenBuffer choices = choices(ids);
                flight.choices = choices;
                List<Draw> draws = batch.sampled().stream()
                        .map(sequence -> sequence.request().sampler().next())
                        .toList();
                int columns = config.vocabulary();
                sink = (first, count, logits) ->
                        device.sample(logits, columns, draws.subList(first, first + count), choices, first);
            } else {
                sink = (first, count, logits) -> sample(flight, first, count, logits);
            }
            transformer.forward(ids, batch.rows(), cache.stores(), batch.logitRows(), sink);
        } catch (RuntimeException | Error e) {
            flight.failure = e;
        }
        return flight;
    }

    /** Room for choices, other than those that are embedded. */
    private TokenBuffer choices(TokenIds ids) {
        return ids instanceof TokenIds.Chosen chosen && chosen.tokens() == tokens.getFirst()
                ? tokens.getLast()
                : tokens.getFirst();
    }

    /** Waits for a batch's tokens, and tells the sequences that still want them. */
    private void land(Flight flight) {
        try {
            if (flight.failure == null) {
                flight.awaitChoices();
            }
        } catch (RuntimeException | Error e) {
            flight.failure = e;
        }
        Throwable failure = flight.failure;
        for (int i = 0; i < flight.batch.parts().size(); i++) {
            Batch.Part part = flight.batch.parts().get(i);
            if (!flight.isLive(i)) {
                continue;
            }
            if (failure != null) {
                fail(part.sequence(), failure);
                continue;
            }
            try {
                commit(part);
            } catch (RuntimeException | Error e) {
                fail(part.sequence(), e);
                continue;
            }
            accept(part, flight.steps(i));
        }
    }

    /** Tells a sequence its tokens: the one behind its last, and those behind drafts that were right. */
    private void accept(Batch.Part part, List<Sequence.@Nullable Step> steps) {
        Sequence sequence = part.sequence();
        int accepted = 0;
        boolean right = !steps.isEmpty();
        while (right) {
            Sequence.Step step = Objects.requireNonNull(steps.get(accepted), "a step of a batch that has landed");
            int drafted = accepted < part.drafts() ? sequence.token(sequence.length()) : Draw.NONE;
            accept(sequence, step);
            right = sequence.finish() == null && accepted < part.drafts() && step.token() == drafted;
            if (right) {
                accepted++;
                sequence.cached(sequence.cached() + 1); // the draft's row
            }
        }
        if (!steps.isEmpty()) {
            sequence.passed();
        }
        if (part.drafts() > 0) {
            sequence.hits.add(accepted, part.drafts());
            sequence.request().sampler().takeBack(part.drafts() - accepted);
        }
    }

    private void fail(Sequence sequence, Throwable cause) {
        sequence.fail(cause);
        forgetState(sequence);
        scheduler.remove(sequence);
    }

    private void replace(Sequence sequence, int[] tokens) {
        if (!sequence.replace(tokens, transformer.hasStates())) {
            return;
        }
        try {
            transformer.restoreState(sequence.pages.pages()[0]);
            device.start(); // now, since what another thread does may drop what waits
        } catch (RuntimeException | Error e) {
            forgetState(sequence);
            throw e;
        }
    }

    /** A sequence's rows were run: they count as cached, and its state is saved where it is to be. */
    private void commit(Batch.Part part) {
        part.commit();
        Sequence sequence = part.sequence();
        if (sequence.isAtBorder()) {
            transformer.saveState(sequence.pages.pages()[0]);
            device.start();
            sequence.stateSaved();
        }
    }

    /** A state may have gone on by rows that do not count as cached: the sequence begins anew. */
    private void forgetState(Sequence sequence) {
        if (transformer.hasStates()) {
            sequence.cached(0);
        }
    }

    private NumericalException notFinite(Sequence sequence) {
        int position = sequence.cached() - 1;
        BatchRows row = new BatchRows(1, new int[] {position}, new int[][] {sequence.pages.pages()});
        String where = transformer.firstNotFinite(new int[] {sequence.token(position)}, row, cache.stores());
        return new NumericalException(
                "No logit after position " + position + " is a number (NaN); the first numbers that"
                        + " are not finite are those of " + where
                        + ". The weights, or 16-bit numbers of the cache, overflow: try a cache of F32, or another"
                        + " file.");
    }

    /** Chooses the next tokens of some sequences by logits that the host sees. */
    private void sample(Flight flight, int first, int count, Buffer buffer) {
        int vocabulary = config.vocabulary();
        float[] logits = new float[vocabulary];
        for (int i = 0; i < count; i++) {
            buffer.read((long) i * vocabulary * Float.BYTES, MemorySegment.ofArray(logits));
            Sequence sequence = flight.batch.sampled().get(first + i);
            try {
                int before = flight.batch.draftsBefore(first + i);
                flight.steps[first + i] = sample(sequence, before, logits);
            } catch (RuntimeException | Error e) {
                fail(sequence, e); // what one sequence asks for concerns no other
            }
        }
    }

    private static boolean needsNoLogits(Sequence sequence) {
        return sequence.request().logprobs() == 0
                && sequence.request().sampler().byLogitsAlone();
    }

    /**
     * Chooses the token behind some drafts.
     *
     * @param drafts how many
     */
    private static Sequence.Step sample(Sequence sequence, int drafts, float[] logits) {
        Sequence.Request request = sequence.request();
        List<Logprobs.Entry> top = request.logprobs() == 0 ? List.of() : Logprobs.top(logits, request.logprobs());
        return new Sequence.Step(request.sampler().sample(logits, sequence.tokens(), sequence.length() + drafts), top);
    }

    private void accept(Sequence sequence, Sequence.Step step) {
        if (step.token() == Draw.NONE) {
            try {
                fail(sequence, notFinite(sequence));
            } catch (RuntimeException | Error e) {
                fail(sequence, e); // the device failed while it was asked
            }
            return;
        }
        Sequence.Request request = sequence.request();
        sequence.add(step);
        if (request.endsAtEnd() && isEnd.test(step.token())) {
            sequence.finish(FinishReason.STOP);
        } else if (sequence.generated() >= request.maximumTokens() || sequence.length() >= contextLength) {
            sequence.finish(FinishReason.LENGTH);
        }
        if (sequence.finish() != null) {
            scheduler.remove(sequence);
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
            replace(sequence, tokens);
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
                    return step(); // until one of them has ended
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
            forgetState(sequence); // until all has gone well
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
                tokens.forEach(TokenBuffer::close);
                cache.close();
            }
        } finally {
            lock.unlock();
        }
    }
}
