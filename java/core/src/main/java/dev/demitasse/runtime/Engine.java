package dev.demitasse.runtime;

import dev.demitasse.ContextFullException;
import dev.demitasse.UsageException;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Device;
import dev.demitasse.kv.KvCache;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.kv.PageTable;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Transformer;
import dev.demitasse.model.Weights;
import dev.demitasse.sampling.Draw;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.sampling.Sampler;
import dev.demitasse.sampling.SamplingOptions;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Runs the sequences of a model: {@code step} is schedule, forward, sample. It has no thread of its own: whichever caller
 * waits for a token takes the lock and steps for all, so that concurrent sessions are decoded together. Thread-safe.
 */
public final class Engine implements AutoCloseable {
    private final ModelConfig config;
    private final Device device;
    private final Transformer transformer;
    private final KvCache cache;
    private final Scheduler scheduler;
    private final IntPredicate isEnd;
    private final int contextLength;
    private final ReentrantLock lock = new ReentrantLock(true);
    private boolean closed;

    /**
     * Sizes of an engine.
     *
     * @param contextLength positions a sequence may have
     * @param sequences sequences of full length that the cache holds at once
     * @param batchRows rows of a forward pass at most
     * @param promptChunk rows of one prompt in a forward pass at most
     * @param kvType how the cache stores numbers
     */
    public record Limits(int contextLength, int sequences, int batchRows, int promptChunk, KvType kvType) {}

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
        int pages = KvCache.pagesFor(limits.contextLength) * limits.sequences;
        this.cache = new KvCache(
                device, new KvShape(config.layers(), config.kvHeads(), config.headDim(), pages, limits.kvType));
        this.device = device;
        this.transformer = new Transformer(config, weights, device, limits.batchRows);
        this.scheduler = new Scheduler(cache, limits.batchRows, limits.promptChunk);
    }

    /** Positions that a sequence may have. */
    public int contextLength() {
        return contextLength;
    }

    /**
     * Starts generating after {@code prompt}. The part of the prompt that the sequence's cache already holds is not computed
     * again.
     *
     * @throws ContextFullException where the prompt leaves no room for a token
     */
    public void begin(
            Sequence sequence,
            int[] prompt,
            SamplingOptions sampling,
            int maximumTokens,
            int logprobs,
            boolean endsAtEnd) {
        if (prompt.length == 0) {
            throw new UsageException("The prompt has no tokens; give at least one.");
        }
        if (prompt.length >= contextLength) {
            throw new ContextFullException("The prompt has " + prompt.length + " tokens; the context has room for "
                    + contextLength + ", and one must be left. Shorten it, or load the model with a longer context.");
        }
        for (int id : prompt) {
            if (id < 0 || id >= config.vocabulary()) {
                throw new UsageException("Token " + id + " is not in the vocabulary of " + config.vocabulary() + ".");
            }
        }
        lock.lock();
        try {
            requireOpen();
            sequence.replace(prompt);
            cache.release(sequence.pages, sequence.cached());
            sequence.begin(new Sequence.Request(new Sampler(sampling), maximumTokens, logprobs, endsAtEnd));
            if (maximumTokens == 0) {
                sequence.finish(FinishReason.LENGTH);
            } else {
                scheduler.add(sequence);
            }
        } finally {
            lock.unlock();
        }
    }

    /** What came of a sequence since its step {@code seen}; {@code finish} is null while it goes on. */
    public record Progress(
            List<Sequence.Step> steps, @Nullable FinishReason finish) {}

    /** Waits for news of a sequence, stepping for all sequences meanwhile. */
    public Progress await(Sequence sequence, int seen) {
        lock.lock();
        try {
            requireOpen();
            while (sequence.finish() == null && sequence.generated() == seen) {
                step();
            }
            RuntimeException failure = sequence.failure();
            if (failure != null) {
                throw failure;
            }
            return new Progress(sequence.steps(seen), sequence.finish());
        } finally {
            lock.unlock();
        }
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

    /** Gives a sequence's pages back. */
    public void release(Sequence sequence) {
        lock.lock();
        try {
            if (!closed) {
                scheduler.release(sequence);
            }
        } finally {
            lock.unlock();
        }
    }

    private void step() {
        Batch batch = scheduler.next();
        if (batch.rows().count() == 0) {
            return;
        }
        int vocabulary = config.vocabulary();
        try {
            transformer.forward(batch.ids(), batch.rows(), cache.store(), batch.logitRows(), (first, count, buffer) -> {
                List<Sequence> sampled = batch.sampled().subList(first, first + count);
                if (sampled.stream().allMatch(Engine::needsNoLogits)) {
                    int[] tokens =
                            new int[count]; // four bytes a sequence come back from a device with memory of its own
                    List<Draw> draws = sampled.stream()
                            .map(s -> s.request().sampler().next())
                            .toList();
                    device.sample(buffer, vocabulary, draws, tokens);
                    for (int i = 0; i < count; i++) {
                        add(sampled.get(i), tokens[i], List.of());
                    }
                    return;
                }
                float[] logits = new float[vocabulary];
                for (int i = 0; i < count; i++) {
                    buffer.read((long) i * vocabulary * Float.BYTES, MemorySegment.ofArray(logits));
                    sample(sampled.get(i), logits);
                }
            });
        } catch (RuntimeException e) {
            scheduler.unfinished().forEach(sequence -> {
                sequence.fail(e);
                scheduler.remove(sequence);
            });
        }
    }

    private static boolean needsNoLogits(Sequence sequence) {
        return sequence.request().logprobs() == 0
                && sequence.request().sampler().byLogitsAlone();
    }

    private void sample(Sequence sequence, float[] logits) {
        Sequence.Request request = sequence.request();
        List<Logprobs.Entry> top = request.logprobs() == 0 ? List.of() : Logprobs.top(logits, request.logprobs());
        int token = request.sampler().sample(logits, sequence.tokens(), sequence.length());
        add(sequence, token, top);
    }

    private void add(Sequence sequence, int token, List<Logprobs.Entry> top) {
        Sequence.Request request = sequence.request();
        sequence.add(new Sequence.Step(token, top));
        if (request.endsAtEnd() && isEnd.test(token)) {
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
     */
    public void evaluate(int[] tokens, int from, LogitsVisitor visitor) {
        if (tokens.length > contextLength) {
            throw new ContextFullException(tokens.length + " tokens do not fit a context of " + contextLength + ".");
        }
        PageTable pages = new PageTable();
        lock.lock();
        try {
            requireOpen();
            while (!cache.reserve(pages, tokens.length)) {
                if (!scheduler.reclaim()) {
                    throw new ContextFullException(
                            "Running sessions hold the whole key-value cache; try again when one has ended.");
                }
            }
            for (int at = 0; at < tokens.length; at += transformer.maximumRows()) {
                evaluate(tokens, at, Math.min(transformer.maximumRows(), tokens.length - at), from, pages, visitor);
            }
        } finally {
            cache.release(pages, 0);
            lock.unlock();
        }
    }

    private void evaluate(int[] tokens, int at, int count, int from, PageTable pages, LogitsVisitor visitor) {
        int[] ids = new int[count];
        int[] positions = new int[count];
        int[][] tables = new int[count][];
        for (int i = 0; i < count; i++) {
            ids[i] = tokens[at + i];
            positions[i] = at + i;
            tables[i] = pages.pages();
        }
        int first = Math.max(0, from - at);
        int[] wanted = new int[Math.max(0, count - first)];
        for (int i = 0; i < wanted.length; i++) {
            wanted[i] = first + i;
        }
        float[] logits = new float[config.vocabulary()];
        transformer.forward(
                ids, new BatchRows(count, positions, tables), cache.store(), wanted, (done, rows, buffer) -> {
                    for (int i = 0; i < rows; i++) {
                        buffer.read((long) i * logits.length * Float.BYTES, MemorySegment.ofArray(logits));
                        visitor.visit(at + wanted[done + i], logits);
                    }
                });
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
                cache.close();
            }
        } finally {
            lock.unlock();
        }
    }
}
