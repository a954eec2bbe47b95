package dev.demitasse.gpu;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Runs lists of steps: fuses them, has the device make launches of them, and starts those. A list that comes a second
 * time is recorded, and from then on is replayed without being looked at again.
 *
 * @param <L> a launch of the device
 * @param <R> a recorded list
 */
public abstract class ListRunner<L, R> implements StepList.Runner, AutoCloseable {
    /** Lists that are kept. */
    private static final int KEPT = 64;

    private final GpuMemory memory;
    private final StepList steps;
    private final List<ListData> data; // two: one is written while a list reads the other
    private final Map<Key, Kept<R>> kept = new LinkedHashMap<>(16, 0.75f, true);
    private final IdentityHashMap<List<Step>, Key> keys = new IdentityHashMap<>(); // of kept lists
    private final List<RunEvent> events = new ArrayList<>(); // of lists without data that are under way
    private final List<GpuTokens> sampled = new ArrayList<>(); // by what is recorded
    private long runs;
    private int replays;
    private int started; // launches, replayed or not

    /**
     * A list that was launched, for those who wait for it.
     *
     * @param data of it
     * @param number which launch of that
     */
    record Ticket(ListData data, long number) {}

    /** Equal lists; its hash is made once. */
    private static final class Key {
        final List<Step> steps;
        private final int hash;

        Key(List<Step> steps) {
            this.steps = steps;
            hash = steps.hashCode();
        }

        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(@Nullable Object other) {
            return other instanceof Key key && hash == key.hash && steps.equals(key.steps);
        }
    }

    /** A list that was seen; recorded from the second time on. */
    private static final class Kept<R> {
        final Key key;

        @Nullable
        R recorded;

        int launches;

        Kept(Key key) {
            this.key = key;
        }
    }

    /** A runner whose lists take turns with two pieces of memory for their data, which it closes. */
    @SuppressWarnings("this-escape") // the list of steps only keeps it
    protected ListRunner(GpuMemory memory, ListData first, ListData second) {
        this.memory = memory;
        this.data = List.of(first, second);
        this.steps = new StepList(this, ListData.BYTES);
    }

    /** Makes the thread ready for launches. */
    protected abstract void enter();

    /**
     * Makes room for what a step needs beside its operands; whether something has moved, so that lists that were
     * recorded before are of no use any more.
     */
    protected abstract boolean reserve(Step step);

    /** The launches of steps, for which there is room. */
    protected abstract List<L> lower(List<Step> fused);

    /** Starts launches one by one. */
    protected abstract void launchAll(List<L> list);

    /** Whether a list can be recorded, now. */
    protected abstract boolean mayRecord(List<L> list);

    /** Records a list, which is not started; null where that is not possible now. */
    protected abstract @Nullable R record(List<L> list);

    /** Starts a recorded list. */
    protected abstract void replay(R recorded);

    /** Gives a recorded list back, which may be under way. */
    protected abstract void destroy(R recorded);

    /** A clock of the device. */
    protected abstract RunTimer timer();

    /** What waits to be run. */
    public StepList steps() {
        return steps;
    }

    /** How often a recorded list was started. */
    public int replays() {
        return replays;
    }

    /** How many kernels were started. */
    public int started() {
        return started;
    }

    @Override
    public void prepare(Step step) {
        boolean moved = true; // where it fails some may have
        try {
            moved = reserve(step);
        } finally {
            if (moved && memory.usable()) {
                forgetRecorded(); // they write to where the workspaces were
            }
        }
    }

    @Override
    public List<Step> run(List<Step> recorded, @Nullable StepData stepData, int dataBytes) {
        enter();
        ListData own = dataBytes == 0 ? null : (ListData) stepData;
        if (own != null) {
            own.copy(dataBytes);
        }
        Key key = key(recorded);
        Kept<R> known = kept.get(key);
        RunEvent event;
        if (known != null && known.recorded != null) {
            started += known.launches;
            event = begin(known.launches);
            replay(known.recorded);
            replays++;
            launched(event, true);
        } else {
            List<L> list = lower(Fusions.apply(recorded));
            started += list.size();
            event = begin(list.size());
            boolean replayed = recordAndReplay(key, known, list);
            if (!replayed) {
                launchAll(list);
            }
            launched(event, replayed);
        }
        underWay(own, event);
        return known == null ? recorded : known.key.steps;
    }

    /** The key of a list; the one that it has already, where it is a list that was kept. */
    private Key key(List<Step> recorded) {
        Key own = keys.get(recorded);
        return own != null ? own : new Key(recorded);
    }

    /** Records a list, the second time it comes, and starts it. */
    private boolean recordAndReplay(Key key, @Nullable Kept<R> seen, List<L> list) {
        if (!mayRecord(list)) {
            return false;
        }
        if (seen == null) {
            remember(key);
            return false;
        }
        R recorded = record(list);
        seen.recorded = recorded;
        seen.launches = list.size();
        if (recorded == null) {
            return false;
        }
        replay(recorded);
        replays++;
        return true;
    }

    private void remember(Key key) {
        kept.put(key, new Kept<>(key));
        keys.put(key.steps, key);
        if (kept.size() > KEPT) {
            Kept<R> eldest = kept.values().iterator().next();
            if (eldest.recorded != null) {
                destroy(eldest.recorded);
            }
            kept.remove(eldest.key);
            keys.remove(eldest.key.steps);
        }
    }

    /** After a launch: who waits for it, and for what. */
    private void underWay(@Nullable ListData own, @Nullable RunEvent event) {
        if (own != null) {
            own.launched(++runs);
            Ticket ticket = new Ticket(own, runs);
            sampled.forEach(tokens -> tokens.launched(ticket));
        }
        sampled.clear();
        if (event != null && own != null) {
            own.add(event);
        } else if (event != null) {
            events.add(event);
        }
    }

    /** Tokens that are chosen by a step that was just recorded. */
    void sampled(GpuTokens tokens) {
        sampled.add(tokens);
    }

    @Override
    public void dropped() {
        sampled.clear();
    }

    /** Waits for a launch, and for nothing after it. */
    void await(Ticket ticket) {
        enter();
        if (ticket.number == ticket.data.launch()) {
            ticket.data.await();
        }
    }

    private @Nullable RunEvent begin(int count) {
        RunEvent event = new RunEvent();
        if (!event.isEnabled()) {
            return null;
        }
        event.begin(memory.device(), timer(), count);
        return event;
    }

    private static void launched(@Nullable RunEvent event, boolean replayed) {
        if (event != null) {
            event.launched(replayed);
        }
    }

    @Override
    public StepData data() {
        memory.requireUsable(); // the data's memory is gone with the device
        ListData first = data.get(0);
        ListData second = data.get(1);
        ListData older = first.launch() < second.launch() ? first : second;
        ListData chosen = !first.busy() ? first : !second.busy() ? second : older;
        if (chosen.busy()) {
            enter();
            chosen.await();
        }
        return chosen;
    }

    /** Runs what was recorded, and waits until it is complete. */
    public void synchronize() {
        steps.run();
        memory.synchronize("running kernels");
        data.forEach(ListData::completed);
        events.forEach(RunEvent::complete);
        events.clear();
    }

    /** Runs what was recorded, and waits; microseconds on the GPU. */
    public double microseconds() {
        enter();
        RunTimer timer = timer();
        timer.begin();
        steps.run();
        timer.end();
        synchronize();
        return timer.microseconds();
    }

    /** Has every list be looked at again. */
    public void forgetRecorded() {
        for (Kept<R> each : kept.values()) {
            if (each.recorded != null) {
                destroy(each.recorded);
            }
        }
        kept.clear();
        keys.clear();
    }

    /** Drops what was not run, and gives back what was recorded and the data's memory. */
    @Override
    public void close() {
        steps.discard();
        if (memory.usable()) {
            memory.synchronize("closing");
            forgetRecorded();
            data.forEach(ListData::close);
        }
        kept.clear();
        keys.clear();
    }
}
