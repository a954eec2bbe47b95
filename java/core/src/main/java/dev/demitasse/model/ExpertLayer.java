package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.Gate;
import dev.demitasse.device.Projection;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Computes experts: the router's logits come to the host, which chooses; then each expert that has rows computes them
 * together. A row's results are added in the order of its experts' numbers, so that they do not depend on the other
 * rows.
 *
 * <p>On a GPU every expert is waited for.
 */
final class ExpertLayer implements AutoCloseable {
    private final Device device;
    private final Gate activation;
    private final int hidden;
    private final Buffer logits; // rows × experts
    private final Buffer rowsOfExpert; // rows × hidden
    private final Buffer gate; // rows × width
    private final Buffer up; // rows × width
    private final Buffer result; // rows × hidden
    private final List<Buffer> owned = new ArrayList<>();

    private float[] scores = new float[0]; // the router's logits
    private int[] ids = new int[0]; // rows × used
    private float[] weights = new float[0]; // rows × used
    private float[] sums = new float[0]; // rows × hidden
    private float[] results = new float[0]; // rows × hidden

    /**
     * Room for the rows of a batch.
     *
     * @param experts in a layer, at most
     * @param width the widest expert
     */
    ExpertLayer(Device device, Gate activation, int maximumRows, int hidden, int experts, int width) {
        this.device = device;
        this.activation = activation;
        this.hidden = hidden;
        try {
            logits = allocate(maximumRows, experts);
            rowsOfExpert = allocate(maximumRows, hidden);
            gate = allocate(maximumRows, width);
            up = allocate(maximumRows, width);
            result = allocate(maximumRows, hidden);
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private Buffer allocate(long rows, long columns) {
        Buffer buffer = device.allocate(rows * columns * Float.BYTES);
        owned.add(buffer);
        return buffer;
    }

    /**
     * Computes a layer.
     *
     * @param x count × hidden
     * @param out receives count × hidden
     */
    void run(FeedForward.Experts layer, Buffer x, int count, Buffer out) {
        Routing routing = layer.routing();
        int used = routing.used();
        device.linear(x, count, new Projection(layer.router(), null, logits));
        scores = read(logits, count * routing.experts(), scores);
        ids = ids.length < count * used ? new int[count * used] : ids;
        weights = weights.length < count * used ? new float[count * used] : weights;
        for (int row = 0; row < count; row++) {
            routing.choose(scores, row * routing.experts(), layer.bias(), ids, weights, row * used);
        }
        sums = sums.length < count * hidden ? new float[count * hidden] : sums;
        Arrays.fill(sums, 0, count * hidden, 0);
        addExperts(layer, x, count);
        addShared(layer, x, count);
        out.write(0, MemorySegment.ofArray(sums).asSlice(0, (long) count * hidden * Float.BYTES));
    }

    private void addExperts(FeedForward.Experts layer, Buffer x, int count) {
        int used = layer.routing().used();
        int[] starts = new int[layer.routing().experts() + 1]; // of each expert's places
        for (int place = 0; place < count * used; place++) {
            starts[ids[place] + 1]++;
        }
        for (int e = 0; e + 1 < starts.length; e++) {
            starts[e + 1] += starts[e];
        }
        int[] places = new int[count * used]; // by expert, in the order of rows
        int[] next = starts.clone();
        for (int place = 0; place < count * used; place++) {
            places[next[ids[place]]++] = place;
        }
        for (int e = 0; e + 1 < starts.length; e++) {
            if (starts[e] == starts[e + 1]) {
                continue;
            }
            int[] mine = Arrays.copyOfRange(places, starts[e], starts[e + 1]);
            int[] rows = Arrays.stream(mine).map(place -> place / used).toArray();
            device.gatherRows(x, hidden, rows, rowsOfExpert);
            compute(layer.experts().get(e), rowsOfExpert, rows.length);
            for (int i = 0; i < rows.length; i++) {
                add(i, weights[mine[i]], rows[i]);
            }
        }
    }

    private void addShared(FeedForward.Experts layer, Buffer x, int count) {
        if (layer.shared() == null) {
            return;
        }
        if (layer.sharedGate() != null) {
            device.linear(x, count, new Projection(layer.sharedGate(), null, logits));
            scores = read(logits, count, scores);
        }
        compute(layer.shared(), x, count);
        for (int row = 0; row < count; row++) {
            add(row, layer.sharedGate() == null ? 1 : (float) (1 / (1 + Math.exp(-scores[row]))), row);
        }
    }

    /** What an expert makes of {@code count} rows, in {@link #results}. */
    private void compute(FeedForward.Dense expert, Buffer x, int count) {
        device.linear(x, count, new Projection(expert.gate(), null, gate), new Projection(expert.up(), null, up));
        device.gatedActivation(activation, gate, up, (long) count * expert.width(), gate);
        device.linear(gate, count, new Projection(expert.down(), null, result));
        results = read(result, count * hidden, results);
    }

    private void add(int from, float weight, int to) {
        for (int c = 0; c < hidden; c++) {
            sums[to * hidden + c] += weight * results[from * hidden + c];
        }
    }

    private static float[] read(Buffer buffer, int count, float[] room) {
        float[] values = room.length < count ? new float[count] : room;
        buffer.read(0, MemorySegment.ofArray(values).asSlice(0, (long) count * Float.BYTES));
        return values;
    }

    @Override
    public void close() {
        owned.forEach(Buffer::close);
    }
}
