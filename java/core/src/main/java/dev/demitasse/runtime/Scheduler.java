package dev.demitasse.runtime;

import dev.demitasse.exception.ContextFullException;
import dev.demitasse.kv.KvShape;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Decides who runs next: every sequence that is decoding gets its row, and those that it runs again; what is left of
 * the batch goes to prompts in the order in which they came, in chunks. So long prompts do not hold up others' tokens
 * (continuous batching with chunked prefill). Where the cache is full, sequences that are closed give their pages up,
 * then those that are idle, the longest idle first, and then the running one that came last, which waits; what is given
 * up is computed again when its sequence goes on.
 */
final class Scheduler {
    private final KvCache cache;
    private final int maximumRows;
    private final int promptChunk;
    private final int contextLength;
    private final Drafts drafts;
    private final boolean states;
    private final List<Sequence> running = new ArrayList<>();
    private final Deque<Sequence> waiting = new ArrayDeque<>();
    private final Set<Sequence> idle = new LinkedHashSet<>();
    private final Set<Sequence> retired = new LinkedHashSet<>(); // closed, with a cache that others may begin with
    private final Set<Sequence> held = new LinkedHashSet<>();

    /**
     * Nobody runs yet.
     *
     * @param maximumRows of a batch
     * @param promptChunk rows of a prompt in a batch, at most
     * @param contextLength positions that a sequence may have
     * @param drafts how many tokens to draft
     * @param states whether sequences have states, which wrong drafts lead astray
     */
    Scheduler(KvCache cache, int maximumRows, int promptChunk, int contextLength, Drafts drafts, boolean states) {
        this.cache = cache;
        this.maximumRows = maximumRows;
        this.promptChunk = promptChunk;
        this.contextLength = contextLength;
        this.drafts = drafts;
        this.states = states;
    }

    void add(Sequence sequence) {
        idle.remove(sequence);
        held.remove(sequence);
        running.add(sequence);
    }

    /** Ends a sequence's run; its cache stays while there is room, unless it is closed. */
    void remove(Sequence sequence) {
        if (!sequence.closed()) {
            idle.add(sequence);
        }
        waiting.remove(sequence);
        if (running.remove(sequence) && !waiting.isEmpty()) {
            running.add(waiting.removeFirst());
        }
    }

    /** A sequence is used by a caller of its own: its pages stay until {@link #letGo}. */
    void hold(Sequence sequence) {
        idle.remove(sequence);
        held.add(sequence);
    }

    /** A sequence that was held has its cache while there is room, unless it is closed. */
    void letGo(Sequence sequence) {
        held.remove(sequence);
        if (sequence.closed()) {
            retired.remove(sequence);
            giveUp(sequence);
        } else {
            idle.add(sequence);
        }
    }

    /** A sequence is closed: its pages stay for others that begin alike while there is room, where it has a salt. */
    void release(Sequence sequence) {
        remove(sequence);
        idle.remove(sequence);
        boolean useful = sequence.salt() != null && sequence.cached() >= KvShape.PAGE;
        if (useful && cache.hasAlone(sequence.pages)) { // else another has all of it, and there would be no end of them
            retired.add(sequence);
        } else {
            giveUp(sequence);
        }
    }

    /** Those who may have cached what another begins with. */
    List<Sequence> sharing() {
        return Stream.of(running, waiting, idle, retired)
                .flatMap(Collection::stream)
                .filter(sequence -> sequence.salt() != null)
                .toList();
    }

    /** Whether a sequence is closed, and its pages are there for others. */
    boolean isRetired(Sequence sequence) {
        return retired.contains(sequence);
    }

    /** A closed sequence has been of use: others give their pages up before it. */
    void renew(Sequence sequence) {
        if (retired.remove(sequence)) {
            retired.add(sequence);
        }
    }

    /** A closed sequence is there no more: another has its pages. */
    void forget(Sequence sequence) {
        retired.remove(sequence);
    }

    /** Whether there are pages for so many positions, those of who is closed or idle among them. */
    boolean hasRoom(int positions) {
        List<PageTable> reclaimable = Stream.concat(retired.stream(), idle.stream())
                .map(sequence -> sequence.pages)
                .toList();
        return KvCache.pagesFor(positions) <= cache.freePages() + cache.heldByAlone(reclaimable)
                && (cache.hasFirstPage() || reclaimable.stream().anyMatch(pages -> pages.size() > 0));
    }

    /** The pages of closed sequences. */
    List<PageTable> retired() {
        return retired.stream().map(sequence -> sequence.pages).toList();
    }

    /** Sequences that hold pages and do not run. */
    int idle() {
        return idle.size();
    }

    /** Takes back the pages of a closed sequence, else of that which has been idle longest; false where none is. */
    boolean reclaim() {
        return reclaim(retired) || reclaim(idle);
    }

    /** The same, but for one of them. */
    boolean reclaimBut(Sequence one) {
        return reclaimBut(retired, one) || reclaimBut(idle, one);
    }

    private boolean reclaim(Set<Sequence> from) {
        return reclaimBut(from, null);
    }

    private boolean reclaimBut(Set<Sequence> from, @Nullable Sequence one) {
        for (Sequence longest : from) {
            if (longest != one) {
                from.remove(longest);
                giveUp(longest);
                return true;
            }
        }
        return false;
    }

    /** Takes back a sequence's pages: what they held is computed again. */
    void giveUp(Sequence sequence) {
        cache.release(sequence.pages, 0);
        sequence.cached(0);
    }

    /** The next batch; an empty one where nobody is left, or all wait for a sequence that is held. */
    Batch next() {
        while (true) {
            Batch batch = plan();
            if (batch.rows().count() > 0 || running.isEmpty()) {
                return batch;
            }
            if (reclaim()) {
                continue;
            }
            Sequence last = held.isEmpty() ? running.getLast() : lastWithPages();
            if (last == null || !held.isEmpty() && running.size() == 1) {
                return batch; // all wait for a caller who holds pages
            }
            giveUp(last);
            if (running.size() > 1) {
                running.remove(last);
                waiting.addFirst(last);
            } else {
                last.fail(new ContextFullException(
                        "The key-value cache is smaller than one context; load the model anew."));
                remove(last);
            }
        }
    }

    private @Nullable Sequence lastWithPages() {
        return running.reversed().stream()
                .filter(sequence -> sequence.pages.size() > 0)
                .findFirst()
                .orElse(null);
    }

    /**
     * The batch that will come after {@code batch}, before its tokens are known, or null where that cannot be told: not
     * all who run are decoding after it, one may have drafts, or there is no page left.
     */
    @Nullable
    Batch following(Batch batch) {
        if (batch.parts().stream().anyMatch(part -> wantsDrafts(part.sequence()))
                || batch.sampled().size() != running.size()
                || batch.parts().size() != running.size()) {
            return null;
        }
        for (Batch.Part part : batch.parts()) {
            Sequence sequence = part.sequence();
            int length = sequence.cached() + part.rows() + 1; // with the token that is being chosen
            boolean last = sequence.generated() + 1 >= sequence.request().maximumTokens() || length >= contextLength;
            if (last || !reserve(sequence, length - sequence.cached())) {
                return null;
            }
        }
        return batch.following();
    }

    private Batch plan() {
        Batch.Builder batch = new Batch.Builder(maximumRows);
        List<Sequence> decoding = new ArrayList<>();
        int planned = 0;
        for (Sequence sequence : running) {
            int rows = sequence.pending();
            if (sequence.isDecoding() && planned + rows <= maximumRows && reserve(sequence, rows)) {
                decoding.add(sequence);
                planned += rows;
            }
        }
        for (Sequence sequence : decoding) {
            int spare = decoding.size() < running.size() ? 0 : maximumRows - planned;
            int repeatable = states ? sequence.pending() : 0;
            draft(sequence, new Drafts.Planned(planned, decoding.size(), repeatable, false), spare);
            planned += sequence.drafted();
            batch.add(sequence, sequence.pending());
        }
        for (Sequence sequence : running) {
            int rows = Math.min(Math.min(sequence.pending(), promptChunk), batch.free());
            rows = sequence.rowsToBorder(rows);
            if (!decoding.contains(sequence) && rows > 0 && reserve(sequence, rows)) {
                batch.add(sequence, rows);
            }
        }
        return batch.build();
    }

    private static boolean wantsDrafts(Sequence sequence) {
        return sequence.request().drafts() > 0;
    }

    /**
     * Drafts what pays, where there are pages for it: what the draft block has proposed, else what stood there before.
     *
     * @param pass what is in it so far, and of those whose rows are to come
     * @param spare rows that nobody else has a use for
     */
    private void draft(Sequence sequence, Drafts.Planned pass, int spare) {
        int most = mostDrafts(sequence, spare);
        if (sequence.proposed() > 0) {
            int count = Math.min(most, sequence.proposed());
            sequence.draftProposed(count > 0 && reserve(sequence, sequence.pending() + count) ? count : 0);
            return;
        }
        sequence.draftNothing();
        int from = most <= 0 ? -1 : PromptLookup.find(sequence.tokens(), sequence.length());
        if (from >= 0) {
            int count = drafts.count(pass, Math.min(most, sequence.length() - from), sequence.hits(false));
            if (count > 0 && reserve(sequence, sequence.pending() + count)) {
                sequence.draft(from, count);
            }
        }
    }

    /** Drafts that a sequence may have beside what is pending: with those that run again no more than it allows. */
    private int mostDrafts(Sequence sequence, int spare) {
        if (spare <= 0 || !wantsDrafts(sequence)) {
            return 0;
        }
        Sequence.Request request = sequence.request();
        int room = Math.min(contextLength - sequence.length() - 1, request.maximumTokens() - sequence.generated() - 1);
        return Math.min(Math.min(request.drafts() - sequence.again(), spare), room);
    }

    /**
     * How many drafts of a sequence it would pay to compute before the next pass, for which there are pages then; none
     * where there is something to look up that is right as often, or where others have a use for its rows.
     */
    int proposable(Sequence sequence) {
        int rows = 0;
        for (Sequence each : running) {
            rows += each.isDecoding() ? each.pending() : maximumRows;
        }
        int most = mostDrafts(sequence, maximumRows - rows);
        boolean lookUp = sequence.hits(false).rate() >= sequence.hits(true).rate();
        if (most <= 0 || lookUp && PromptLookup.find(sequence.tokens(), sequence.length()) >= 0) {
            return 0;
        }
        int repeatable = states ? sequence.pending() : 0;
        Drafts.Planned pass = new Drafts.Planned(rows, running.size(), repeatable, true);
        int count = drafts.count(pass, most, sequence.hits(true));
        return count > 0 && reserve(sequence, sequence.pending() + count) ? count : 0;
    }

    /**
     * Closed sequences give their pages up for it. One without a number, where there are few, gets that of the one that
     * has been idle longest.
     */
    private boolean reserve(Sequence sequence, int rows) {
        while (!cache.reserve(sequence.pages, sequence.cached() + rows)) {
            boolean lacksNumber = sequence.pages.size() == 0 && !cache.hasFirstPage();
            if (!reclaim(retired) && !(lacksNumber && reclaim())) {
                return false;
            }
        }
        return true;
    }
}
