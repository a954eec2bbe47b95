package dev.demitasse.runtime;

import dev.demitasse.kv.KvShape;
import dev.demitasse.model.KeptState;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.sampling.Sampler;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of one conversation, the pages that cache them, and the generation that runs on it, if any. Guarded by the
 * engine's lock.
 */
public final class Sequence {
    /** A generated token and, where asked for, the most likely tokens of its step. */
    public record Step(int token, List<Logprobs.Entry> top) {}

    /**
     * Tokens at the end of a prompt that a further turn's prompt may not have: what a template adds behind the last
     * message, to begin the answer.
     */
    private static final int PROMPT_END = 16;

    /** Tokens that a state must spare whoever goes on from it, where one is kept for prompts that may never come. */
    private static final int WORTH_KEEPING = 2 * KvShape.PAGE;

    /** Copies of the state that others may go on from. */
    private static final Set<KeptState> SHARED = EnumSet.of(KeptState.PROMPT, KeptState.BRANCH);

    final PageTable pages = new PageTable();
    private int[] tokens = new int[64];
    private int length;
    private int cached;
    private final Map<KeptState, Integer> kept = new EnumMap<>(KeptState.class); // tokens that the copies have seen
    private @Nullable KeptState stale; // the copy that the state is to be made before its next row, or null
    private int again; // of those behind the cached ones: run before, beside drafts that were wrong
    private int border; // tokens of the prompt after which the state is to be kept; 0 for none
    private int branch; // the same where another prompt parts from this one

    private @Nullable Request request;
    private final List<Step> steps = new ArrayList<>();
    private @Nullable FinishReason finish;
    private @Nullable Throwable failure;
    private int drafted; // tokens behind the last that are there to be tried
    private int proposed; // tokens there that the draft block has computed
    private boolean computed; // whether those that are tried are some of them
    private int followed; // positions, from 0 on, that the draft block has seen with the token behind each
    private int passes; // of the generation, that tokens came of
    private boolean closed;
    private final @Nullable String salt;

    private final Drafts.Hits lookedUp = new Drafts.Hits();
    private final Drafts.Hits byBlock = new Drafts.Hits();

    /**
     * What is to be generated.
     *
     * @param sampler chooses the tokens
     * @param maximumTokens how many at most
     * @param logprobs how many most likely tokens to report a step
     * @param drafts how many tokens to draft a pass, at most
     * @param endsAtEnd whether the model's end token ends it
     */
    record Request(Sampler sampler, int maximumTokens, int logprobs, int drafts, boolean endsAtEnd) {}

    /** A sequence without tokens that has nothing in common with others. */
    public Sequence() {
        this(null);
    }

    /**
     * A sequence without tokens that may begin with what those of the same salt have cached, and they with what it has.
     *
     * @param salt null for none
     */
    public Sequence(@Nullable String salt) {
        this.salt = salt;
    }

    /** The salt of this and other sequences that may share what they have cached; null where there are none. */
    public @Nullable String salt() {
        return salt;
    }

    /** Number of tokens. */
    public int length() {
        return length;
    }

    /** Tokens whose keys and values are in the cache. */
    int cached() {
        return cached;
    }

    void cached(int count) {
        cached = count;
        again = 0;
        if (count == 0) {
            followed = 0;
            kept.clear();
            stale = null;
        }
    }

    /** Only so many tokens are cached, of one without a state. */
    void cutBack(int count) {
        cached(count);
        followed = Math.min(followed, count);
    }

    /** Tokens that a forward pass has yet to see. */
    int pending() {
        return length - cached;
    }

    /**
     * Drafts were wrong, and the state has seen them: it is to be what it was after {@code before} tokens, and those
     * behind are to be run again.
     */
    void takeBack(int before) {
        again = cached - before;
        cached = before;
        stale = KeptState.DRAFTS;
    }

    /** The copy that the state is to be made before its next row; null where it is as it should be. */
    @Nullable
    KeptState stale() {
        return stale;
    }

    /** The state is what the copy was. */
    void stateRestored() {
        stale = null;
    }

    /** A copy is what the state is now. */
    void stateKept(KeptState as) {
        kept.put(as, cached);
    }

    /** Of the pending tokens, those that were run before. */
    int again() {
        return again;
    }

    /** Whether a forward pass of what is pending is one of decoding: one token is new. */
    boolean isDecoding() {
        return pending() == 1 + again;
    }

    int token(int position) {
        return tokens[position];
    }

    int[] tokens() {
        return tokens;
    }

    /**
     * Puts drafts behind the last token, where they are until the next token comes.
     *
     * @param from where the same tokens stand
     * @param count how many, at most as many as there are from there on
     */
    void draft(int from, int count) {
        putBehind(tokens, from, count);
        proposed = 0;
        drafted = count;
        computed = false;
    }

    /** Puts behind the last token what the draft block has computed, where it is until the next token comes. */
    void propose(int[] drafts, int count) {
        putBehind(drafts, 0, count);
        proposed = count;
    }

    private void putBehind(int[] source, int from, int count) {
        if (length + count > tokens.length) {
            tokens = Arrays.copyOf(tokens, 2 * (length + count));
        }
        System.arraycopy(source, from, tokens, length, count);
    }

    /** How many drafts the draft block has computed. */
    int proposed() {
        return proposed;
    }

    /** So many of what the draft block has computed are drafts. */
    void draftProposed(int count) {
        drafted = count;
        computed = true;
    }

    /** No token is tried. */
    void draftNothing() {
        drafted = 0;
    }

    /**
     * How many drafts were right.
     *
     * @param block of those that the draft block has computed; else of those that were looked up
     */
    Drafts.Hits hits(boolean block) {
        return block ? byBlock : lookedUp;
    }

    /** The same for the kind of drafts that were tried last. */
    Drafts.Hits hits() {
        return hits(computed);
    }

    /** Positions, from 0 on, that the draft block has seen. */
    int followed() {
        return followed;
    }

    /** The draft block has seen positions before that, each with the token behind it. */
    void followed(int count) {
        followed = count;
    }

    /** Drafts behind the last token. */
    int drafted() {
        return drafted;
    }

    void append(int token) {
        drafted = 0;
        proposed = 0;
        if (length == tokens.length) {
            tokens = Arrays.copyOf(tokens, length * 2);
        }
        tokens[length++] = token;
    }

    /**
     * How many tokens of {@code wanted} have no need to be computed again, the last of which always has: as many as are
     * cached of them. A state cannot be cut back: where one has seen more, as many as a copy has.
     *
     * @param state whether the sequence has a state
     */
    int reusable(int[] wanted, boolean state) {
        int same = common(wanted);
        return !state || same == cached
                ? same
                : latest(same).map(Map.Entry::getValue).orElse(0);
    }

    /** The same of one that shares it: it gets none of the copies that drafts need. */
    int sharable(int[] wanted, boolean state) {
        int same = common(wanted);
        if (!state || same == cached) {
            return same;
        }
        return keptForOthers().stream()
                .mapToInt(kept::get)
                .filter(seen -> seen <= same)
                .max()
                .orElse(0);
    }

    /** Whether a copy of the state that others may go on from has seen more than so many tokens. */
    boolean keepsBehind(int tokens) {
        return keptForOthers().stream().anyMatch(copy -> kept.getOrDefault(copy, 0) > tokens);
    }

    /** Copies of the state that there are, and that others may go on from. */
    Set<KeptState> keptForOthers() {
        Set<KeptState> copies = EnumSet.copyOf(SHARED);
        copies.retainAll(kept.keySet());
        return copies;
    }

    private int common(int[] wanted) {
        int common = Arrays.mismatch(tokens, 0, cached, wanted, 0, wanted.length);
        return Math.min(common < 0 ? cached : common, wanted.length - 1);
    }

    /** The copy of the state that has seen most, of those that have seen {@code most} tokens at most. */
    private Optional<Map.Entry<KeptState, Integer>> latest(int most) {
        return kept.entrySet().stream().filter(copy -> copy.getValue() <= most).max(Map.Entry.comparingByValue());
    }

    /** What is cached, for another to {@link #restore}. */
    Snapshots.Cached snapshot() {
        return new Snapshots.Cached(
                Arrays.copyOf(tokens, cached), kept.getOrDefault(KeptState.PROMPT, 0), Math.min(followed, cached));
    }

    /** Makes the tokens those of another, whose pages and state are here. */
    void restore(Snapshots.Cached other) {
        tokens = other.tokens().clone();
        length = tokens.length;
        cached = length;
        followed = other.followed();
        if (other.promptTokens() > 0) {
            kept.put(KeptState.PROMPT, other.promptTokens());
        }
    }

    /** Takes the place of a closed one: its tokens, pages and state. */
    void takeOver(Sequence closed) {
        become(closed);
        kept.putAll(closed.kept);
        stale = closed.stale;
        pages.takeOver(closed.pages);
        closed.cached(0);
    }

    /**
     * Makes the tokens those that {@code other} has cached, without the pages: the state is what it is for {@code
     * other}'s next row, and what it has kept for others is kept.
     */
    void become(Sequence other) {
        tokens = Arrays.copyOf(other.tokens, Math.max(64, other.cached));
        length = other.cached;
        cached = other.cached;
        followed = Math.min(other.followed, cached);
        kept.clear();
        kept.putAll(other.kept);
        kept.keySet().retainAll(SHARED);
        stale = null;
        again = 0;
        drafted = 0;
        proposed = 0;
    }

    /**
     * Makes the tokens {@code wanted}, keeping the cache of the longest common beginning, but for the last token. A
     * state cannot be cut back: where one has seen more, the latest copy that has not takes its place.
     *
     * @param state whether the sequence has a state
     */
    void replace(int[] wanted, boolean state) {
        replace(wanted, state, 0);
    }

    /**
     * The same.
     *
     * @param shared tokens that another sequence has cached of them, whether or not there is a state to go on from
     */
    void replace(int[] wanted, boolean state, int shared) {
        int same = common(wanted);
        kept.values().removeIf(tokens -> tokens > same);
        if (state && same < cached) {
            var latest = latest(same);
            stale = latest.map(Map.Entry::getKey).orElse(null);
            cached = latest.map(Map.Entry::getValue).orElse(0);
        } else {
            cached = same;
        }
        again = 0;
        followed = Math.min(followed, cached); // the last of them with a token that may be another now
        tokens = Arrays.copyOf(wanted, Math.max(64, wanted.length));
        drafted = 0;
        proposed = 0;
        length = wanted.length;
        int last = Math.max(0, length - PROMPT_END) / KvShape.PAGE * KvShape.PAGE;
        border = state && last > cached ? last : 0;
        int parting = Math.max(same, shared) / KvShape.PAGE * KvShape.PAGE;
        branch = parting < border && parting >= cached + WORTH_KEEPING ? parting : 0;
    }

    /** How many of {@code rows} tokens to compute at once, so that the state can be kept where it is to be. */
    int rowsToBorder(int rows) {
        int next = cached < branch ? branch : border;
        return cached < next ? Math.min(rows, next - cached) : rows;
    }

    /** What the state is to be kept as now, or null. */
    @Nullable
    KeptState keptNow() {
        if (cached == 0 || cached != branch && cached != border) {
            return null;
        }
        return cached == border ? KeptState.PROMPT : KeptState.BRANCH;
    }

    void begin(Request wanted) {
        request = wanted;
        steps.clear();
        passes = 0;
        drafted = 0;
        proposed = 0;
        finish = null;
        failure = null;
    }

    Request request() {
        Request current = request;
        if (current == null) {
            throw new IllegalStateException("nothing is being generated");
        }
        return current;
    }

    void add(Step step) {
        steps.add(step);
        append(step.token());
    }

    /** A pass gave it tokens. */
    void passed() {
        passes++;
    }

    /** Passes that tokens came of. */
    int passes() {
        return passes;
    }

    int generated() {
        return steps.size();
    }

    /** The steps from {@code first} on. */
    List<Step> steps(int first) {
        return List.copyOf(steps.subList(first, steps.size()));
    }

    void finish(FinishReason reason) {
        finish = reason;
    }

    /** Ends the generation with what went wrong: a {@link RuntimeException} or an {@link Error}. */
    void fail(Throwable cause) {
        failure = cause;
        finish = FinishReason.CANCELLED;
    }

    /** No more generations; one that runs is cancelled. */
    void close() {
        closed = true;
        if (finish == null) {
            finish = FinishReason.CANCELLED;
        }
    }

    boolean closed() {
        return closed;
    }

    @Nullable
    FinishReason finish() {
        return finish;
    }

    @Nullable
    Throwable failure() {
        return failure;
    }
}
