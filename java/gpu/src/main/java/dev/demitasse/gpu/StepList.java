package dev.demitasse.gpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.KvStore;
import dev.demitasse.exception.UsageException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Steps that wait to be run together: operations are recorded, and {@link #run} hands them to a {@link Runner} when a
 * result is wanted.
 *
 * <p>What changes from one forward pass to the next (token ids, positions, page tables, angles) is not in the steps but
 * in the step's data, which goes to device memory with one copy at the beginning. So the steps of decoding are equal
 * every time, and a runner may keep what it made of them. A list is compared, step by step while it is recorded, with
 * the one that came after the last one before: as long as they are equal nothing is recorded.
 */
public final class StepList {
    /** Bytes to which every piece of the step's data is aligned. */
    static final int ALIGNMENT = 16;

    /** Lists of which it is known which came after them. */
    private static final int MOST_FOLLOWING = 64;

    private final Runner runner;
    private final MemorySegment data;
    private final long dataAddress;
    private final BatchTables tables;
    private final List<Runnable> listeners = new ArrayList<>();
    private final IdentityHashMap<List<Step>, List<Step>> following = new IdentityHashMap<>(); // which came after which
    private List<Step> last = List.of();
    private @Nullable List<Step> expected; // what is recorded, so far; else `steps` is
    private int matched; // steps of it
    private List<Step> steps = new ArrayList<>();
    private int used;

    /** Runs lists of steps on a device. */
    public interface Runner {
        /**
         * Makes room for what a step needs beside its operands, before it is recorded; not for one that was recorded at
         * the same place before.
         *
         * @throws dev.demitasse.exception.OutOfDeviceMemoryException where there is none
         */
        void prepare(Step step);

        /**
         * Starts steps, after a copy of the step's data to the device.
         *
         * @param steps at least one; the runner's from now on, unchangeable
         * @param dataBytes how much of the step's data is used
         * @return these, or equal ones that the runner has kept, which are to come instead when they are recorded again
         */
        List<Step> run(List<Step> steps, int dataBytes);

        /** Returns when the host's copy of the step's data may be written. */
        void awaitData();
    }

    /**
     * A list.
     *
     * @param data the host's memory for the step's data
     * @param dataAddress where it goes on the device
     */
    public StepList(Runner runner, MemorySegment data, long dataAddress) {
        this.runner = runner;
        this.data = data;
        this.dataAddress = dataAddress;
        this.tables = new BatchTables(this);
    }

    /** Called when what was recorded is run or dropped, and the step's data is gone. */
    void afterRun(Runnable listener) {
        listeners.add(listener);
    }

    /** Records a step. */
    public void add(Step step) {
        if (expected != null
                && matched < expected.size()
                && expected.get(matched).equals(step)) {
            matched++;
            return;
        }
        expectNothing();
        runner.prepare(step);
        steps.add(step);
    }

    /** From here on the list is another one than that which was expected. */
    private void expectNothing() {
        if (expected != null) {
            steps.addAll(expected.subList(0, matched));
            expected = null;
        }
    }

    /** Runs what waits where the step's data has no room for that many more bytes. */
    private void reserve(long bytes) {
        if (bytes > data.byteSize()) {
            throw new UsageException(
                    "One operation brings " + bytes + " bytes of indices; at most " + data.byteSize() + " fit.");
        }
        if (used + bytes > data.byteSize()) {
            run();
        }
    }

    /** The device address of a copy of {@code count} integers, and room for {@code capacity} of them. */
    public long put(int[] values, int count, int capacity) {
        int offset = place((long) Integer.BYTES * Math.max(capacity, count));
        MemorySegment.copy(values, 0, data, JAVA_INT, offset, count);
        return dataAddress + offset;
    }

    /** Records a copy of host memory to a device address. */
    public void copy(MemorySegment source, long to) {
        int offset = place(source.byteSize());
        data.asSlice(offset, source.byteSize()).copyFrom(source);
        add(new Step.Copy(to, offset, (int) source.byteSize()));
    }

    private int place(long bytes) {
        reserve(bytes);
        runner.awaitData();
        int offset = used;
        used += (int) ((bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
        return offset;
    }

    /** Records the storing of keys and values. */
    public void append(KvStore store, int layer, long keys, long values, BatchRows rows) {
        reserve(BatchTables.bytes(rows));
        add(new Step.KvAppend(store, layer, keys, values, tables.rows(rows), null, null));
    }

    /**
     * Records attention.
     *
     * @param stateBytes bytes of the states of a row's segment, of all heads
     */
    public void attend(
            KvStore store,
            int layer,
            AttentionShape shape,
            long q,
            long out,
            BatchRows rows,
            AttentionPlan.Limits limits,
            long stateBytes) {
        reserve(BatchTables.bytes(rows) + AttentionPlan.bytes(rows, limits));
        BatchTables.Rows own = tables.rows(rows);
        AttentionPlan plan = AttentionPlan.of(rows, limits, stateBytes, this);
        add(new Step.Attention(store, layer, shape, q, out, own, plan, null));
    }

    /** What was recorded and not run yet. */
    public List<Step> waiting() {
        return List.copyOf(expected == null ? steps : expected.subList(0, matched));
    }

    /** Runs what was recorded. */
    public void run() {
        if (expected != null && matched > 0 && matched < expected.size()) {
            expectNothing();
        }
        List<Step> recorded = expected != null && matched > 0 ? expected : steps;
        if (recorded.isEmpty()) {
            return;
        }
        int bytes = used;
        List<Step> before = last;
        discard();
        last = runner.run(recorded, bytes);
        if (following.size() >= MOST_FOLLOWING) {
            following.clear();
        }
        following.put(before, last);
        expected = following.get(last);
    }

    /** Drops what was recorded. */
    public void discard() {
        steps = new ArrayList<>();
        expected = null;
        matched = 0;
        used = 0;
        listeners.forEach(Runnable::run);
    }
}
