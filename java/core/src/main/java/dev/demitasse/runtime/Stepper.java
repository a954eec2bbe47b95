package dev.demitasse.runtime;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.TokenBuffer;
import dev.demitasse.device.TokenIds;
import dev.demitasse.exception.NumericalException;
import dev.demitasse.model.KeptState;
import dev.demitasse.model.Transformer;
import dev.demitasse.sampling.Draw;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.sampling.Sampler;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** Takes steps for all sequences: schedule, forward, sample. Guarded by the engine's lock. */
final class Stepper implements AutoCloseable {
    private final Device device;
    private final Transformer transformer;
    private final KvCache cache;
    private final Scheduler scheduler;
    private final Drafts drafts;
    private final int contextLength;
    private final IntPredicate isEnd;
    private final @Nullable Suppression suppression;
    private final List<TokenBuffer> tokens = new ArrayList<>(); // two: one is chosen while the other is read
    private final BlockDrafts blockDrafts;
    private @Nullable Flight ahead; // the step that is under way, where the one before it has landed

    /** A stepper. It owns nothing of what it is given. */
    Stepper(
            Device device,
            Transformer transformer,
            KvCache cache,
            Scheduler scheduler,
            Drafts drafts,
            int batchRows,
            int contextLength,
            Engine.Roles roles) {
        this.device = device;
        this.transformer = transformer;
        this.cache = cache;
        this.scheduler = scheduler;
        this.drafts = drafts;
        this.contextLength = contextLength;
        this.isEnd = roles.isEnd();
        blockDrafts = new BlockDrafts(device, transformer, cache, scheduler, drafts);
        try {
            tokens.add(device.allocateTokens(batchRows));
            tokens.add(device.allocateTokens(batchRows));
            int rows = Math.min(batchRows, Transformer.LOGIT_ROWS);
            int vocabulary = transformer.config().vocabulary();
            suppression = roles.suppressed().length == 0
                    ? null
                    : new Suppression(device, rows, vocabulary, roles.suppressed());
        } catch (RuntimeException | Error e) {
            close();
            throw e;
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
    boolean step() {
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
        boolean runsAhead = device.runsAhead() && !transformer.hasStates();
        if (choices != null && flight.failure == null && runsAhead && flight.isForAll()) {
            Batch next = scheduler.following(flight.batch);
            ahead = next == null ? null : launch(next, new TokenIds.Chosen(choices));
        }
        land(flight);
        if (flight.failure == null && flight.batch.isDecoding()) {
            drafts.timed(flight.batch.rows().count(), System.nanoTime() - begin);
        }
        if (flight.failure == null && transformer.drafts() && ahead == null) {
            follow(flight.batch);
        }
        return true;
    }

    /** The draft block sees a batch's rows; what goes wrong ends the sequences that want drafts. */
    private void follow(Batch batch) {
        try {
            blockDrafts.follow(batch);
        } catch (RuntimeException | Error e) {
            for (Batch.Part part : batch.parts()) {
                part.sequence().followed(0); // it has not seen what it was to see
                if (part.sequence().finish() == null
                        && part.sequence().request().drafts() > 0) {
                    fail(part.sequence(), e);
                }
            }
        }
    }

    /** Starts a batch, and the choosing of its tokens where no host has to see the logits. */
    private Flight launch(Batch batch, TokenIds ids) {
        Flight flight = new Flight(batch);
        try {
            Transformer.LogitsSink chooser;
            if (batch.sampled().stream().allMatch(Stepper::needsNoLogits)) {
                TokenBuffer choices = choices(ids);
                flight.choices = choices;
                List<Draw> draws = batch.sampled().stream()
                        .map(sequence -> sequence.request().sampler().next())
                        .toList();
                int columns = transformer.config().vocabulary();
                chooser = (first, count, logits) ->
                        device.sample(logits, columns, draws.subList(first, first + count), choices, first);
            } else {
                chooser = (first, count, logits) -> sample(flight, first, count, logits);
            }
            Transformer.LogitsSink sink = suppression == null
                    ? chooser
                    : (first, count, logits) -> {
                        suppression.apply(logits, count);
                        chooser.accept(first, count, logits);
                    };
            batch.parts().forEach(this::prepareState);
            transformer.forward(ids, batch.rows(), cache.stores(), batch.logitRows(), sink);
        } catch (RuntimeException | Error e) {
            flight.failure = e;
        }
        return flight;
    }

    /**
     * Makes a sequence's state what it is to be, and keeps it where there are drafts. In the pass that needs it: what
     * fails with that pass ends the sequence, too.
     */
    private void prepareState(Batch.Part part) {
        Sequence sequence = part.sequence();
        boolean kept = sequence.stale() == KeptState.DRAFTS; // as it is to be, already
        restoreState(sequence);
        if (part.drafts() > 0 && transformer.hasStates() && !kept) {
            transformer.saveState(KeptState.DRAFTS, sequence.pages.pages()[0]);
            sequence.stateKept(KeptState.DRAFTS);
        }
    }

    /** Makes a sequence's state what it is to be before its next row. */
    void restoreState(Sequence sequence) {
        KeptState stale = sequence.stale();
        if (stale != null) {
            transformer.restoreState(stale, sequence.pages.pages()[0]);
            sequence.stateRestored();
        }
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
            right = sequence.finish() == null
                    && accepted < part.drafts()
                    && step.token() == drafted
                    && isDecided(steps.get(accepted + 1));
            if (right) {
                accepted++;
                sequence.cached(sequence.cached() + 1); // the draft's row
            }
        }
        if (!steps.isEmpty()) {
            sequence.passed();
        }
        if (part.drafts() > 0) {
            if (accepted < part.drafts() && sequence.cached() > 0 && transformer.hasStates()) {
                sequence.takeBack(sequence.cached() - part.rows() - accepted);
            }
            sequence.hits().add(accepted, part.drafts());
            sequence.request().sampler().takeBack(part.drafts() - accepted);
        }
    }

    /** Whether a token could be chosen behind a draft; else the draft is run again, as a token that counts. */
    private static boolean isDecided(Sequence.@Nullable Step step) {
        return step != null && step.token() != Sampler.UNDECIDED;
    }

    private void fail(Sequence sequence, Throwable cause) {
        sequence.fail(cause);
        forgetState(sequence);
        scheduler.remove(sequence);
    }

    /** Makes the tokens of a sequence others, and its state what it was after those that it keeps. */
    void replace(Sequence sequence, int[] tokens, int shared) {
        sequence.replace(tokens, transformer.hasStates(), shared);
    }

    /** A sequence's rows were run: they count as cached, and its state is kept where it is to be. */
    private void commit(Batch.Part part) {
        part.commit();
        Sequence sequence = part.sequence();
        KeptState as = sequence.keptNow();
        if (as != null) {
            transformer.saveState(as, sequence.pages.pages()[0]);
            device.start(); // now, since what another thread does may drop what waits
            sequence.stateKept(as);
        }
    }

    /** A state may have gone on by rows that do not count as cached: the sequence begins anew. */
    void forgetState(Sequence sequence) {
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
        int vocabulary = transformer.config().vocabulary();
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
        return new Sequence.Step(
                request.sampler().sample(logits, sequence.tokens(), sequence.length() + drafts, drafts), top);
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
        request.sampler().accept(step.token());
        if (request.endsAtEnd() && isEnd.test(step.token()) || request.sampler().isComplete()) {
            sequence.finish(FinishReason.STOP);
        } else if (sequence.generated() >= request.maximumTokens() || sequence.length() >= contextLength) {
            sequence.finish(FinishReason.LENGTH);
        }
        if (sequence.finish() != null) {
            scheduler.remove(sequence);
        }
    }

    @Override
    public void close() {
        tokens.forEach(TokenBuffer::close);
        blockDrafts.close();
        if (suppression != null) {
            suppression.close();
        }
    }
}
