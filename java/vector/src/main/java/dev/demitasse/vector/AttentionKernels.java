package dev.demitasse.vector;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.kv.ScaledElements;
import dev.demitasse.memory.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** {@code kvAppend} and {@code attention}: share out rows, heads and segments. */
final class AttentionKernels implements AutoCloseable {
    /** Rows of one sequence in a task: they share the unpacking of a page. */
    private static final int ROW_BLOCK = 16;

    private static final int PAGE = KvShape.PAGE;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;

    private final WorkerPool pool;
    private HostMemory states = HostMemory.allocate(0);
    private HostMemory scratch = HostMemory.allocate(0);

    AttentionKernels(WorkerPool pool) {
        this.pool = pool;
    }

    void append(VectorKvStore store, int layer, long keys, long values, BatchRows rows) {
        int perTask = 16;
        pool.run((rows.count() + perTask - 1) / perTask, (task, worker) -> {
            for (int row = task * perTask; row < Math.min(rows.count(), (task + 1) * perTask); row++) {
                appendRow(store, layer, keys, values, rows, row);
            }
        });
    }

    private static void appendRow(VectorKvStore store, int layer, long keys, long values, BatchRows rows, int row) {
        int headDim = store.shape().headDim();
        int kvHeads = store.shape().kvHeads();
        int position = rows.positions()[row];
        int page = rows.pages()[row][position / PAGE];
        int slot = position % PAGE;
        KvType type = store.shape().type();
        int bytes = Math.max(1, type.bits() / Byte.SIZE); // from one position's keys to the next's
        for (int head = 0; head < kvHeads; head++) {
            long source = ((long) row * kvHeads + head) * headDim * 4;
            long k = store.keys(layer, page, head) + (long) slot * bytes;
            long v = store.values(layer, page, head) + type.bytes((long) slot * store.paddedDim());
            if (type.scaled()) {
                appendScaled(store, keys + source, k, true, store.keyScales(layer, page, head) + slot * 4L);
                appendScaled(store, values + source, v, false, store.valueScales(layer, page, head) + slot * 4L);
            } else {
                append(store, keys + source, k, PAGE);
                append(store, values + source, v, 1);
            }
        }
    }

    /** Stores a head's vector, elements {@code stride} from each other. */
    private static void append(VectorKvStore store, long x, long at, int stride) {
        boolean fp16 = store.shape().type() == KvType.F16;
        boolean nonFinite = false;
        for (int d = 0; d < store.shape().headDim(); d++) {
            float value = Lanes.get(x + d * 4L);
            long index = (long) d * stride;
            if (fp16) {
                short bits = Float.floatToFloat16(value);
                Lanes.MEMORY.set(SHORT, at + index * 2, bits);
                nonFinite |= (bits & 0x7C00) == 0x7C00;
            } else {
                Lanes.set(at + index * 4, value);
            }
        }
        if (nonFinite) {
            store.holdNonFinite();
        }
    }

    /** The same rounded to bytes; a group's word goes to {@code scales}, the next one's a page's words further. */
    private static void appendScaled(VectorKvStore store, long x, long at, boolean keys, long scales) {
        float[] vector = new float[store.shape().headDim()];
        byte[] rounded = new byte[store.paddedDim()];
        MemorySegment.copy(Lanes.MEMORY, Lanes.FLOAT, x, vector, 0, vector.length);
        for (int g = 0, from = 0; from < vector.length; g++, from += KvShape.SCALE_GROUP) {
            int count = Math.min(KvShape.SCALE_GROUP, vector.length - from);
            int word = ScaledElements.round(store.shape().type(), vector, from, count, rounded, from);
            Lanes.MEMORY.set(ValueLayout.JAVA_INT_UNALIGNED, scales + g * PAGE * 4L, word);
        }
        int stride = keys ? PAGE : 1;
        if (store.shape().type() == KvType.INT4) {
            int half = rounded.length / 2;
            for (int i = 0; i < half; i++) {
                int low = keys ? rounded[2 * i] : rounded[i];
                int high = keys ? rounded[2 * i + 1] : rounded[half + i];
                Lanes.MEMORY.set(ValueLayout.JAVA_BYTE, at + (long) i * stride, (byte) (low | high << 4));
            }
            return;
        }
        for (int d = 0; d < vector.length; d++) {
            Lanes.MEMORY.set(ValueLayout.JAVA_BYTE, at + (long) d * stride, rounded[d]);
        }
    }

    /**
     * Rows {@code [first, last)} of one sequence.
     *
     * @param segment the segment that a single row is cut to, or -1 for all of them
     * @param state index of the first row's state
     * @param merged states that follow each other and are merged into the first: 1 for a whole row, 0 for a later
     *     segment
     */
    private record Block(int first, int last, int segment, int state, int merged) {}

    /** What the tasks of one call share. */
    private record Call(
            long q,
            VectorKvStore store,
            int layer,
            AttentionShape shape,
            long sinks,
            BatchRows rows,
            int[] ends,
            List<Block> blocks,
            long out) {
        int dim() {
            return store.paddedDim();
        }

        int queryHeads() {
            return shape.heads() / shape.kvHeads();
        }

        int start(int row) {
            return shape.firstSeen(rows.positions()[row]);
        }

        int last(int row) {
            return shape.lastSeen(rows.positions()[row], ends[row]);
        }

        long stateBytes() {
            return Attention.stateBytes(dim());
        }
    }

    /** {@code sinks} is the address of a score a head, or 0. */
    void attention(long q, VectorKvStore store, int layer, AttentionShape shape, long sinks, BatchRows rows, long out) {
        Call call = new Call(q, store, layer, shape, sinks, rows, rows.ends(), new ArrayList<>(), out);
        int stateCount = divide(call);
        states = HostMemory.grown(states, stateCount * shape.heads() * call.stateBytes());
        long workerBytes = Attention.scratchBytes(call.dim()) + call.stateBytes() * ROW_BLOCK * call.queryHeads();
        scratch = HostMemory.grown(scratch, workerBytes * pool.size());
        int count = call.blocks.size();
        pool.run(count * shape.kvHeads(), (task, worker) -> {
            Block block = call.blocks.get(count - 1 - task / shape.kvHeads()); // later blocks see more positions
            run(call, block, task % shape.kvHeads(), scratch.address() + worker * workerBytes);
        });
        pool.run(rows.count() < ROW_BLOCK ? 1 : count, (task, worker) -> {
            int last = rows.count() < ROW_BLOCK ? count : task + 1;
            for (int i = task; i < last; i++) {
                finish(call, call.blocks.get(i));
            }
        });
    }

    /**
     * Neighboring rows of one sequence make a block; a row that stands alone, one for each segment. Returns the
     * states.
     */
    private static int divide(Call call) {
        BatchRows rows = call.rows;
        int state = 0;
        for (int first = 0; first < rows.count(); ) {
            int last = first + 1;
            while (last < rows.count() && last - first < ROW_BLOCK && rows.pages()[last] == rows.pages()[first]) {
                last++;
            }
            int segments = segment(call.last(first)) - segment(call.start(first)) + 1;
            if (last - first == 1 && segments > 1) {
                for (int i = 0; i < segments; i++) {
                    int segment = segment(call.start(first)) + i;
                    call.blocks.add(new Block(first, last, segment, state + i, i == 0 ? segments : 0));
                }
                state += segments;
            } else {
                call.blocks.add(new Block(first, last, -1, state, 1));
                state += last - first;
            }
            first = last;
        }
        return state;
    }

    private static int segment(int position) {
        return position / Attention.SEGMENT;
    }

    /** All pages of a block for the query heads of one key head. */
    private void run(Call call, Block block, int kvHead, long workerScratch) {
        int dim = call.dim();
        long valueScratch = workerScratch + (long) dim * PAGE * 4;
        long scores = valueScratch + (long) dim * PAGE * 4;
        long segmentStates = scores + 2 * PAGE * 4;
        int from = call.start(block.first);
        int to = call.last(block.last - 1) + 1;
        if (block.segment >= 0) {
            from = Math.max(from, block.segment * Attention.SEGMENT);
            to = Math.min(to, (block.segment + 1) * Attention.SEGMENT);
        }
        for (int row = block.first; row < block.last; row++) {
            for (int g = 0; g < call.queryHeads(); g++) {
                Attention.reset(state(call, block, row, kvHead, g), dim);
            }
        }
        int[] pages = call.rows.pages()[block.first];
        for (int page = from / PAGE; page * PAGE < to; page++) {
            long keys = UnpackPage.keys(call.store, call.layer, pages[page], kvHead, workerScratch);
            long values = UnpackPage.values(call.store, call.layer, pages[page], kvHead, valueScratch);
            addPage(call, block, kvHead, page, from, to, keys, values, scores, segmentStates);
        }
    }

    /** One page for all rows of a block that see a part of it, two queries at a time. */
    private void addPage(
            Call call,
            Block block,
            int kvHead,
            int page,
            int from,
            int to,
            long keys,
            long values,
            long scores,
            long segmentStates) {
        Attention.Query waiting = null;
        for (int row = block.first; row < block.last; row++) {
            int begin = Math.max(0, Math.max(from, call.start(row)) - page * PAGE);
            int end = Math.min(PAGE, Math.min(to, call.last(row) + 1) - page * PAGE);
            if (begin >= end) {
                continue;
            }
            boolean apart = apart(call, block, row, page);
            for (int g = 0; g < call.queryHeads(); g++) {
                long state = state(call, block, row, kvHead, g);
                if (apart) {
                    state = segmentState(call, block, row, g, segmentStates);
                    if (page * PAGE % Attention.SEGMENT == 0) {
                        Attention.reset(state, call.dim());
                    }
                }
                long head = (long) row * call.shape.heads() + kvHead * call.queryHeads() + g;
                Attention.Query query =
                        new Attention.Query(call.q + head * call.shape.headDim() * 4, state, begin, end);
                if (waiting == null) {
                    waiting = query;
                } else {
                    Attention.addPage(waiting, query, call.shape, call.dim(), keys, values, scores);
                    waiting = null;
                }
            }
        }
        if (waiting != null) {
            Attention.addPage(waiting, call.shape, call.dim(), keys, values, scores);
        }
        mergeSegments(call, block, kvHead, page, segmentStates);
    }

    /** Whether a row sums this page apart: segments after its first one are summed alone and merged at their end. */
    private static boolean apart(Call call, Block block, int row, int page) {
        return block.segment < 0 && segment(page * PAGE) > segment(call.start(row));
    }

    /** Merges the segments that end with this page. */
    private void mergeSegments(Call call, Block block, int kvHead, int page, long segmentStates) {
        int next = (page + 1) * PAGE;
        for (int row = block.first; row < block.last; row++) {
            int last = call.last(row);
            boolean sees = last >= page * PAGE;
            if (sees && apart(call, block, row, page) && (next % Attention.SEGMENT == 0 || next > last)) {
                for (int g = 0; g < call.queryHeads(); g++) {
                    long apart = segmentState(call, block, row, g, segmentStates);
                    Attention.merge(state(call, block, row, kvHead, g), apart, call.dim());
                }
            }
        }
    }

    private static long segmentState(Call call, Block block, int row, int g, long segmentStates) {
        return segmentStates + ((long) (row - block.first) * call.queryHeads() + g) * call.stateBytes();
    }

    /** The state of query head {@code g} of those of a KV head. */
    private long state(Call call, Block block, int row, int kvHead, int g) {
        long index = (long) (block.state + row - block.first) * call.shape.heads() + kvHead * call.queryHeads() + g;
        return states.address() + index * call.stateBytes();
    }

    private void finish(Call call, Block block) {
        if (block.merged == 0) {
            return;
        }
        int heads = call.shape.heads();
        for (int row = block.first; row < block.last; row++) {
            for (int head = 0; head < heads; head++) {
                long state = state(call, block, row, 0, head);
                for (int i = 1; i < block.merged; i++) {
                    Attention.merge(state, state + i * heads * call.stateBytes(), call.dim());
                }
                long out = call.out + ((long) row * heads + head) * call.shape.headDim() * 4;
                float sink = call.sinks == 0 ? Float.NEGATIVE_INFINITY : Lanes.get(call.sinks + head * 4L);
                Attention.finish(state, sink, call.shape.headDim(), out);
            }
        }
    }

    @Override
    public void close() {
        states.close();
        scratch.close();
    }
}
