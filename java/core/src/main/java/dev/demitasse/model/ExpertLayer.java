package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.Gate;
import dev.demitasse.device.Projection;
import dev.demitasse.exception.UsageException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Computes experts: the router's logits come to the host, which chooses; the rows of each expert are put behind each
 * other and computed together; the results come to the host, which adds them up. A row's results are added in the order
 * of its experts' numbers, so that they do not depend on the other rows.
 */
final class ExpertLayer {
    private final Device device;
    private final Gate activation;
    private final int hidden;
    private final Buffer logits; // rows × experts
    private final Buffer inputs; // rows × used × hidden, by expert
    private final Buffer gate; // rows × used × width, by expert
    private final Buffer up; // the same
    private final Buffer outputs; // rows × used × hidden, by expert

    private float[] scores = new float[0]; // the router's logits
    private int[] ids = new int[0]; // rows × used
    private float[] weights = new float[0]; // rows × used
    private float[] results = new float[0]; // rows × used × hidden, by expert
    private float[] sums = new float[0]; // rows × hidden

    /**
     * Room for the rows of a batch.
     *
     * @param width the widest expert
     */
    ExpertLayer(
            Device device,
            DeviceBuffers buffers,
            Gate activation,
            int maximumRows,
            int hidden,
            Routing routing,
            int width) {
        this.device = device;
        this.activation = activation;
        this.hidden = hidden;
        long places = (long) maximumRows * routing.used();
        if (places * Math.max(hidden, width) > Integer.MAX_VALUE) {
            throw new UsageException("A batch of " + maximumRows + " rows with " + routing.used() + " experts each of "
                    + Math.max(hidden, width) + " numbers is too large; take fewer rows a batch.");
        }
        logits = buffers.allocate(maximumRows, routing.experts());
        inputs = buffers.allocate(places, hidden);
        gate = buffers.allocate(places, width);
        up = buffers.allocate(places, width);
        outputs = buffers.allocate(places, hidden);
    }

    /**
     * Computes those that are chosen.
     *
     * @param chooser count × hidden, which the router is given
     * @param x count × hidden, which the experts are given
     * @param out receives count × hidden
     */
    void run(FeedForward.Experts layer, Buffer chooser, Buffer x, int count, Buffer out) {
        Routing routing = layer.routing();
        int used = routing.used();
        int places = count * used;
        device.linear(chooser, count, new Projection(layer.router(), layer.routerBias(), logits));
        scores = read(logits, count * routing.experts(), scores);
        ids = ids.length < places ? new int[places] : ids;
        weights = weights.length < places ? new float[places] : weights;
        for (int row = 0; row < count; row++) {
            routing.choose(scores, row * routing.experts(), layer.bias(), ids, weights, row * used);
        }
        int[] starts = starts(places, routing.experts());
        int[] next = Arrays.copyOf(starts, routing.experts());
        int[] rows = new int[places]; // by expert, those of one in their order
        int[] at = new int[places]; // where a row's choice stands there
        for (int place = 0; place < places; place++) {
            at[place] = next[ids[place]]++;
            rows[at[place]] = place / used;
        }
        device.gatherRows(x, hidden, rows, inputs);
        if (routing.weighsInputs()) {
            weighInputs(at, places);
        }
        for (int place = 0; place < places && layer.scales().length > 0; place++) {
            weights[place] *= layer.scales()[ids[place]];
        }
        FeedForward.ExpertMatrices gates = layer.gates();
        if (gates == null) {
            device.groupedLinear(inputs, starts, layer.ups().to(up));
        } else {
            device.groupedLinear(inputs, starts, gates.to(gate), layer.ups().to(up));
        }
        device.gatedActivation(activation, gates == null ? up : gate, up, (long) places * layer.width(), gate);
        device.groupedLinear(gate, starts, layer.downs().to(outputs));
        results = read(outputs, places * hidden, results);
        sums = sums.length < count * hidden ? new float[count * hidden] : sums;
        Arrays.fill(sums, 0, count * hidden, 0);
        for (int place = 0; place < places; place++) {
            add(at[place], weights[place], place / used);
        }
        out.write(0, MemorySegment.ofArray(sums).asSlice(0, (long) count * hidden * Float.BYTES));
    }

    /**
     * Multiplies what experts are given by their weights, which are 1 then.
     *
     * @param at where a row's choice stands among the inputs
     */
    private void weighInputs(int[] at, int places) {
        results = read(inputs, places * hidden, results);
        for (int place = 0; place < places; place++) {
            for (int c = 0; c < hidden; c++) {
                results[at[place] * hidden + c] *= weights[place];
            }
            weights[place] = 1;
        }
        inputs.write(0, MemorySegment.ofArray(results).asSlice(0, (long) places * hidden * Float.BYTES));
    }

    /** Where each expert's rows begin, and where the last one's end. */
    private int[] starts(int places, int experts) {
        int[] starts = new int[experts + 1];
        for (int place = 0; place < places; place++) {
            starts[ids[place] + 1]++;
        }
        for (int e = 0; e < experts; e++) {
            starts[e + 1] += starts[e];
        }
        return starts;
    }

    private void add(int from, float weight, int to) {
        for (int c = 0; c < hidden; c++) {
            sums[to * hidden + c] += weight * results[from * hidden + c];
        }
    }

    /**
     * Multiplies rows by the logistic function of a logit each, which is the weight of the expert that all tokens have.
     *
     * @param x count × hidden, what the layer was given
     * @param y count × hidden, what the expert has returned
     */
    void weighShared(FeedForward.Experts layer, Buffer x, int count, Buffer y) {
        if (layer.sharedGate() == null) {
            return;
        }
        device.linear(x, count, new Projection(layer.sharedGate(), null, logits));
        scores = read(logits, count, scores);
        results = read(y, count * hidden, results);
        for (int row = 0; row < count; row++) {
            float weight = (float) (1 / (1 + Math.exp(-scores[row])));
            for (int c = 0; c < hidden; c++) {
                results[row * hidden + c] *= weight;
            }
        }
        y.write(0, MemorySegment.ofArray(results).asSlice(0, (long) count * hidden * Float.BYTES));
    }

    private static float[] read(Buffer buffer, int count, float[] room) {
        float[] values = room.length < count ? new float[count] : room;
        buffer.read(0, MemorySegment.ofArray(values).asSlice(0, (long) count * Float.BYTES));
        return values;
    }
}
