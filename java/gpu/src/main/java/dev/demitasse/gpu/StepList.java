package dev.demitasse.gpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.Pass;
import dev.demitasse.device.TokenIds;
import dev.demitasse.exception.UsageException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.function.Function;
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
    private final long capacity;
    private final BatchTables tables = new BatchTables(this);
    private final List<PassRecord.Piece.Plan> plans = new ArrayList<>(); // of the rows in `tables`
    private final IdentityHashMap<List<Step>, List<Step>> following = new IdentityHashMap<>(); // which came after which
    private final IdentityHashMap<List<Step>, List<PassRecord>> passes = new IdentityHashMap<>(); // in those lists
    private List<Step> last = List.of();
    private @Nullable List<Step> expected; // what is recorded, so far; else `steps` is
    private int matched; // steps of it
    private List<Step> steps = new ArrayList<>();
    private final List<PassRecord> recorded = new ArrayList<>(); // passes of the list
    private @Nullable PassRecord recording; // the pass whose operations are being recorded
    private @Nullable StepData data; // where the list's goes; null where it has none yet
    private int used;
    private int runs;
    private int replayedPasses;

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
         * Starts steps, after a copy of their data to the device.
         *
         * @param steps at least one; the runner's from now on, unchangeable
         * @param data what {@link #data} gave, or null where there is none
         * @param dataBytes how much of it is used
         * @return these, or equal ones that the runner has kept, which are to come instead when they are recorded again
         */
        List<Step> run(List<Step> steps, @Nullable StepData data, int dataBytes);

        /** Memory for a list's data, which no list reads any more. */
        StepData data();

        /** What was recorded is dropped. */
        void dropped();
    }

    /**
     * A list.
     *
     * @param capacity bytes of a list's data at most
     */
    public StepList(Runner runner, long capacity) {
        this.runner = runner;
        this.capacity = capacity;
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

    private int recordedSteps() {
        return expected == null ? steps.size() : matched;
    }

    /**
     * Records what a pass does. Where the list that is expected has it here, and the data of these ids and rows come to
     * where those lay, its operations are not called. Of a pass that fails nothing is recorded, but for what had to be
     * run to make room.
     */
    public void run(Pass pass, TokenIds ids, BatchRows rows) {
        forgetRows(); // it puts its own
        if (replay(pass, ids, rows)) {
            return;
        }
        PassRecord record = new PassRecord(pass, ids, rows, recordedSteps(), data().address() + used);
        recording = record;
        int before = used;
        int runsBefore = runs;
        try {
            pass.operations(ids, rows);
            if (recording == record) {
                record.end(recordedSteps());
                recorded.add(record);
            }
        } catch (RuntimeException | Error e) {
            if (runs == runsBefore) {
                truncate(record.first, before);
            }
            throw e;
        } finally {
            recording = null;
        }
    }

    /** Drops steps from a number on, and their data. */
    private void truncate(int first, int data) {
        if (expected == null) {
            steps.subList(first, steps.size()).clear();
        } else {
            matched = first;
        }
        used = data;
        forgetRows();
    }

    private boolean replay(Pass pass, TokenIds ids, BatchRows rows) {
        if (expected == null) {
            return false;
        }
        for (PassRecord record : passes.getOrDefault(expected, List.of())) {
            if (record.pass == pass && record.first == matched && record.takes(ids, rows)) {
                int before = used;
                int runsBefore = runs;
                if (data().address() + used == record.from && sameData(record, ids, rows)) {
                    matched += record.count();
                    recorded.add(record);
                    replayedPasses++;
                    return true;
                }
                if (runs != runsBefore) {
                    return false; // there was no room, and this is another list
                }
                used = before;
                forgetRows();
            }
        }
        return false;
    }

    /** Puts the data of ids and rows; whether all lie where those of {@code record} lay. */
    private boolean sameData(PassRecord record, TokenIds ids, BatchRows rows) {
        for (PassRecord.Piece piece : record.pieces()) {
            boolean same = switch (piece) {
                case PassRecord.Piece.Ids p ->
                    ids instanceof TokenIds.Given given && write(given.ids(), rows.count()) == p.address();
                case PassRecord.Piece.Numbers p -> write(p.values(), p.values().length) == p.address();
                case PassRecord.Piece.Tables p -> rows(rows).equals(p.rows());
                case PassRecord.Piece.Plan p -> plan(rows, p.terms()).equals(p.plan());
            };
            if (!same) {
                return false;
            }
        }
        return true;
    }

    private StepData data() {
        StepData current = data;
        if (current == null) {
            current = runner.data();
            data = current;
        }
        return current;
    }

    /** Runs what waits where the step's data has no room for that many more bytes. */
    private void reserve(long bytes) {
        if (bytes > capacity) {
            throw new UsageException(
                    "One operation brings " + bytes + " bytes of indices; at most " + capacity + " fit.");
        }
        if (used + bytes > capacity) {
            run();
        }
    }

    /** The device address of a copy of {@code count} integers; those of a pass are the same for as many rows. */
    public long put(int[] values, int count) {
        long address = write(values, count);
        if (recording != null) {
            note(new PassRecord.Piece.Numbers(Arrays.copyOf(values, count), address));
        }
        return address;
    }

    long write(int[] values, int count) {
        int offset = place((long) Integer.BYTES * count);
        MemorySegment.copy(values, 0, data().memory(), JAVA_INT, offset, count);
        return data().address() + offset;
    }

    /** The device address of a copy of a batch's ids, one a row. */
    public long putIds(int[] ids, int rows) {
        long address = write(ids, rows);
        if (recording != null) {
            note(recording.isIds(ids) ? new PassRecord.Piece.Ids(address) : null);
        }
        return address;
    }

    /** The pass that is being recorded has put a piece of data; one that another call may not have where it is null. */
    private void note(PassRecord.@Nullable Piece piece) {
        if (recording != null) {
            if (piece == null) {
                recording = null;
            } else {
                recording.add(piece);
            }
        }
    }

    /** Records a copy of host memory to a device address. */
    public void copy(MemorySegment source, long to) {
        note(null);
        int offset = place(source.byteSize());
        data().memory().asSlice(offset, source.byteSize()).copyFrom(source);
        add(new Step.Copy(to, data().address() + offset, (int) source.byteSize()));
    }

    private int place(long bytes) {
        reserve(bytes);
        data();
        int offset = used;
        used += (int) ((bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
        return offset;
    }

    /** The device address of the positions of a batch's rows. */
    public long positions(BatchRows rows) {
        return rows(rows).positions();
    }

    /** The rows of a batch in the step's data. */
    private BatchTables.Rows rows(BatchRows rows) {
        if (tables.holds(rows)) {
            return tables.rows(rows);
        }
        reserve(BatchTables.bytes(rows));
        plans.clear();
        BatchTables.Rows own = tables.rows(rows);
        if (recording != null) {
            note(recording.isRows(rows) ? new PassRecord.Piece.Tables(own) : null);
        }
        return own;
    }

    /** How attention takes the rows; written to the step's data, which must have room for it. */
    private AttentionPlan plan(BatchRows rows, AttentionPlan.Terms terms) {
        for (PassRecord.Piece.Plan known : plans) {
            if (known.terms().equals(terms)) {
                return known.plan();
            }
        }
        PassRecord.Piece.Plan made = new PassRecord.Piece.Plan(terms, AttentionPlan.of(rows, terms, this));
        plans.add(made);
        note(made);
        return made.plan();
    }

    private void forgetRows() {
        tables.forget();
        plans.clear();
    }

    /** Records the storing of keys and values. */
    public void append(KvStore store, int layer, long keys, long values, BatchRows rows) {
        add(new Step.KvAppend(store, layer, keys, values, rows(rows), null, null, false));
    }

    /** Records a step with a batch's rows. */
    public void add(BatchRows rows, Function<BatchTables.Rows, Step> step) {
        add(step.apply(rows(rows)));
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
            long sinks,
            long q,
            long out,
            BatchRows rows,
            AttentionPlan.Limits limits,
            long stateBytes) {
        AttentionPlan.Terms terms = new AttentionPlan.Terms(limits, stateBytes, shape.ahead());
        if (!tables.holds(rows) || plans.stream().noneMatch(plan -> plan.terms().equals(terms))) {
            reserve(BatchTables.bytes(rows) + AttentionPlan.bytes(rows, limits));
        }
        BatchTables.Rows own = rows(rows);
        AttentionPlan plan = plan(rows, terms);
        add(new Step.Attention(store, layer, shape, sinks, q, out, own, plan, null));
    }

    /** How many passes were recorded without calling their operations. */
    public int replayedPasses() {
        return replayedPasses;
    }

    /** What was recorded and not run yet. */
    public List<Step> waiting() {
        return List.copyOf(expected == null ? steps : expected.subList(0, matched));
    }

    /** Runs what was recorded. */
    public void run() {
        recording = null; // what a pass has run or read in its middle is not there the next time
        runs++;
        if (expected != null && matched > 0 && matched < expected.size()) {
            expectNothing();
        }
        List<Step> list = expected != null && matched > 0 ? expected : steps;
        if (list.isEmpty()) {
            return;
        }
        int bytes = used;
        StepData itsData = data;
        List<Step> before = last;
        List<PassRecord> itsPasses = List.copyOf(recorded);
        reset();
        last = runner.run(list, itsData, bytes);
        if (following.size() >= MOST_FOLLOWING) {
            following.clear();
            passes.clear();
        }
        following.put(before, last);
        passes.put(last, itsPasses);
        expected = following.get(last);
    }

    /** Expects nothing any more: what is recorded from now on is prepared and run as if it came for the first time. */
    public void forget() {
        expectNothing();
        last = List.of();
        following.clear();
        passes.clear();
    }

    /** Drops what was recorded. */
    public void discard() {
        reset();
        forget(); // what was kept may use memory that is gone
        runner.dropped();
    }

    private void reset() {
        steps = new ArrayList<>();
        recorded.clear();
        recording = null;
        expected = null;
        matched = 0;
        data = null;
        used = 0;
        forgetRows();
    }
}
