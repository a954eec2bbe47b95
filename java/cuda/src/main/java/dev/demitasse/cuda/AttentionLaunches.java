package dev.demitasse.cuda;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.kv.KvShape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code kvAppend} and {@code attention} as launches: which rows go through tensor cores, and over how many segments the others. */
final class AttentionLaunches implements AutoCloseable {
    private static final int SEGMENT = 256;
    private static final int STATE_HEADER = 4;
    private static final int PREFILL_ROWS = 64;
    /** Rows of a sequence from which on tensor cores are worth their setting up. */
    private static final int LEAST_PREFILL_ROWS = 8;

    private static final int PREFILL_THREADS = 128;
    /** Bytes of states that a launch may take; more rows are taken in slices. */
    private static final long STATE_BYTES = 64L << 20;

    private static final int MOST_ROWS = 65535; // of a grid's second dimension

    private static final int ROPE_HEADS = 2; // words of RopeArgs
    private static final int ROPE_ANGLES = 4;

    private final LaunchList launches;
    private final BatchTables tables;
    private final Workspace states;
    private final boolean batchInvariant;

    AttentionLaunches(CudaContext context, LaunchList launches, boolean batchInvariant) {
        this.launches = launches;
        this.tables = new BatchTables(launches);
        this.states = new Workspace(context, launches);
        this.batchInvariant = batchInvariant;
    }

    private static long[] words(long[]... parts) {
        int count = 0;
        for (long[] part : parts) {
            count += part.length;
        }
        long[] all = new long[count];
        int at = 0;
        for (long[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }

    /** Records the storing of keys and values, and with it their turning and that of the queries, where that came just before. */
    void append(CudaKvStore store, int layer, long keys, long values, BatchRows rows) {
        launches.reserve(BatchTables.bytes(rows));
        tables.use(rows);
        int heads = store.shape().kvHeads();
        long[] angles = new long[3];
        long queries = 0;
        int queryHeads = 0;
        LaunchList.Launch keyRope = launches.last(0, "rope");
        if (keyRope != null && keyRope.arguments()[0] == keys && turns(keyRope, rows.count(), store.shape())) {
            angles = Arrays.copyOfRange(keyRope.arguments(), ROPE_ANGLES, ROPE_ANGLES + 3);
            LaunchList.Launch queryRope = launches.last(1, "rope");
            if (queryRope != null
                    && queryRope.arguments()[0] != keys
                    && turns(queryRope, rows.count(), store.shape())
                    && Arrays.equals(angles, 0, 3, queryRope.arguments(), ROPE_ANGLES, ROPE_ANGLES + 3)) {
                queries = queryRope.arguments()[0];
                queryHeads = (int) queryRope.arguments()[ROPE_HEADS];
            }
            launches.removeLast(queryHeads == 0 ? 1 : 2);
        }
        launches.add(
                store.appendKernel(),
                rows.count(),
                heads + queryHeads,
                1,
                64,
                0,
                words(store.words(), new long[] {layer, keys, values}, tables.words(0), angles, new long[] {
                    queries, queryHeads
                }));
    }

    /** Whether a launch of {@code rope} turns so many rows of heads like those of the cache. */
    private static boolean turns(LaunchList.Launch rope, int rows, KvShape shape) {
        return rope.arguments()[1] == rows && rope.arguments()[ROPE_HEADS + 1] == shape.headDim();
    }

    /** Neighbouring rows. */
    private record Range(int first, int count) {}

    /** Records attention of all rows. */
    void attend(CudaKvStore store, int layer, AttentionShape shape, long q, long out, BatchRows rows) {
        List<Range> singles = new ArrayList<>();
        List<Range> blocks = new ArrayList<>();
        divide(rows, singles, blocks);
        int capacity = segments(longest(rows, singles));
        long stateBytes = 4L * shape.heads() * capacity * (STATE_HEADER + store.paddedDim());
        int slice = Math.clamp(STATE_BYTES / stateBytes, 1, MOST_ROWS);
        int most = singles.stream().mapToInt(Range::count).max().orElse(0);
        long stateAddress = most == 0 ? 0 : states.address(Math.min(most, slice) * stateBytes);
        // After what may have run the list, and with room for all that this operation brings.
        launches.reserve(BatchTables.bytes(rows) + 16L * blocks.size() + 64);
        tables.use(rows);
        for (Range range : singles) {
            for (int at = 0; at < range.count; at += slice) { // one after the other on the same states
                Range part = new Range(range.first + at, Math.min(slice, range.count - at));
                decode(store, layer, shape, q, out, part, capacity, stateAddress);
            }
        }
        if (!blocks.isEmpty()) {
            prefill(store, layer, shape, q, out, blocks);
        }
    }

    private static int longest(BatchRows rows, List<Range> ranges) {
        int longest = 0;
        for (Range range : ranges) {
            for (int i = 0; i < range.count; i++) {
                longest = Math.max(longest, rows.positions()[range.first + i]);
            }
        }
        return longest;
    }

    /** Segments of a launch: a power of two, so that launches stay the same while a sequence grows. */
    private static int segments(int longest) {
        int needed = longest / SEGMENT + 1;
        return needed == 1 ? 1 : Integer.highestOneBit(needed - 1) * 2;
    }

    private void divide(BatchRows rows, List<Range> singles, List<Range> blocks) {
        int alone = 0; // first row that waits to be taken alone
        for (int first = 0; first < rows.count(); ) {
            int last = first + 1;
            while (last < rows.count() && rows.pages()[last] == rows.pages()[first]) {
                last++;
            }
            if (!batchInvariant && last - first >= LEAST_PREFILL_ROWS) {
                if (first > alone) {
                    singles.add(new Range(alone, first - alone));
                }
                for (int at = first; at < last; at += PREFILL_ROWS) {
                    blocks.add(new Range(at, Math.min(PREFILL_ROWS, last - at)));
                }
                alone = last;
            }
            first = last;
        }
        if (rows.count() > alone) {
            singles.add(new Range(alone, rows.count() - alone));
        }
    }

    private static long bits(float value) {
        return Float.floatToRawIntBits(value) & 0xFFFFFFFFL;
    }

    private long[] arguments(CudaKvStore store, int layer, AttentionShape shape, long q, long out, int firstRow) {
        return words(
                new long[] {q},
                store.words(),
                new long[] {layer, shape.heads(), bits(shape.scale()), bits(shape.softCap()), shape.window()},
                tables.words(firstRow),
                new long[] {out});
    }

    private void decode(
            CudaKvStore store,
            int layer,
            AttentionShape shape,
            long q,
            long out,
            Range range,
            int segments,
            long stateAddress) {
        long offset = 4L * range.first * shape.heads() * shape.headDim();
        long[] arguments = words(
                arguments(store, layer, shape, q + offset, out + offset, range.first),
                new long[] {stateAddress, segments, 0});
        int group = shape.heads() / shape.kvHeads();
        int heads = store.decodeHeads(group);
        launches.add(
                store.decodeKernel(group),
                shape.kvHeads() * ((group + heads - 1) / heads),
                range.count,
                segments,
                store.decodeThreads(),
                0,
                arguments);
        int columns = shape.heads() * shape.headDim();
        launches.add(merge(
                shape,
                range.count,
                arguments,
                QuantizedRows.NOWHERE,
                (x, wanted, count, to) -> x == out + offset
                                && wanted == range.count
                                && count == columns
                                && to.padded() == columns
                                && shape.headDim() % 32 == 0
                                && !to.wholeRows()
                        ? merge(shape, range.count, arguments, to, null)
                        : null));
    }

    private static LaunchList.Launch merge(
            AttentionShape shape,
            int rows,
            long[] arguments,
            QuantizedRows to,
            LaunchList.@Nullable Quantising quantising) {
        return new LaunchList.Launch(
                "attention_merge", shape.heads(), rows, 1, 256, 0, to.after(arguments), quantising);
    }

    private void prefill(CudaKvStore store, int layer, AttentionShape shape, long q, long out, List<Range> blocks) {
        int[] words = new int[4 * blocks.size()];
        for (int i = 0; i < blocks.size(); i++) {
            words[4 * i] = blocks.get(i).first;
            words[4 * i + 1] = blocks.get(i).count;
        }
        int dim = store.paddedDim() <= 64 ? 64 : store.paddedDim() <= 128 ? 128 : 256;
        long blockAddress = launches.put(words, words.length, words.length);
        launches.add(
                store.prefillKernel(dim),
                shape.heads(),
                blocks.size(),
                1,
                PREFILL_THREADS,
                prefillSharedBytes(dim),
                words(arguments(store, layer, shape, q, out, 0), new long[] {0, 0, blockAddress}));
    }

    /** Dynamic shared memory: {@code PrefillShape::BYTES}. */
    private static int prefillSharedBytes(int dim) {
        return 2 * (dim * KvShape.PAGE + (dim + 8) * KvShape.PAGE + (dim + 8) * PREFILL_ROWS);
    }

    @Override
    public void close() {
        states.close();
    }
}
