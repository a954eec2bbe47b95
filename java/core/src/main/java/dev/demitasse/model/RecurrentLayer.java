package dev.demitasse.model;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Device;
import dev.demitasse.device.Gate;
import dev.demitasse.device.Projection;
import dev.demitasse.device.ScanShape;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Computes layers with a state, and keeps the states: in each of these layers a slot for each sequence, whose number is
 * that of the sequence's first page of the cache.
 */
final class RecurrentLayer {
    private final Device device;
    private final Recurrent shape;
    private final int hidden;
    private final float epsilon;
    private final Buffer mixed; // rows × channels
    private final Buffer convolved; // rows × channels
    private final Buffer gate; // rows × the wider of channels and heads × headDim
    private final Buffer beta; // rows × heads
    private final Buffer alpha; // rows × heads
    private final Buffer attended; // rows × heads × headDim
    private final States current;
    private final Map<KeptState, States> kept = new EnumMap<>(KeptState.class);

    /**
     * The states of all layers.
     *
     * @param convolutions a layer's: slots × (kernel - 1) × channels
     * @param matrices a layer's: slots × heads × stateDim × headDim
     */
    private record States(List<Buffer> convolutions, List<Buffer> matrices) {}

    /**
     * Room for the rows of a batch, and for states.
     *
     * @param slots sequences that have a state at once
     */
    RecurrentLayer(
            Device device, DeviceBuffers buffers, ModelConfig config, Recurrent shape, int maximumRows, int slots) {
        this.device = device;
        this.shape = shape;
        this.hidden = config.hidden();
        this.epsilon = config.epsilon();
        long values = (long) shape.heads() * shape.headDim();
        mixed = buffers.allocate(maximumRows, shape.channels());
        convolved = buffers.allocate(maximumRows, shape.channels());
        gate = buffers.allocate(maximumRows, Math.max(shape.channels(), values));
        beta = buffers.allocate(maximumRows, shape.heads());
        alpha = buffers.allocate(maximumRows, shape.heads());
        attended = buffers.allocate(maximumRows, values);
        current = states(buffers, slots);
        for (KeptState each : KeptState.values()) {
            kept.put(each, states(buffers, slots));
        }
    }

    private States states(DeviceBuffers buffers, int slots) {
        States states = new States(new ArrayList<>(), new ArrayList<>());
        for (int layer = 0; layer < shape.layers(); layer++) {
            states.convolutions.add(buffers.allocate(slots, shape.convolutionElements()));
            states.matrices.add(buffers.allocate(slots, shape.matrixElements()));
        }
        return states;
    }

    /**
     * A gated delta net.
     *
     * @param store which of the states
     * @param x rows × hidden
     * @param out receives rows × hidden
     */
    void run(Mixer.DeltaNet layer, int store, Buffer x, BatchRows rows, Buffer out) {
        int count = rows.count();
        device.linear(
                x,
                count,
                new Projection(layer.input(), null, mixed),
                new Projection(layer.gate(), null, gate),
                new Projection(layer.beta(), null, beta),
                new Projection(layer.alpha(), null, alpha));
        convolve(layer.convolution(), null, true, store, mixed, rows);
        DeltaShape delta = new DeltaShape(shape.keyHeads(), shape.heads(), shape.headDim(), shape.grouped(), epsilon);
        device.deltaRule(
                convolved,
                beta,
                alpha,
                layer.decayBias(),
                layer.decayRate(),
                delta,
                current.matrices.get(store),
                rows,
                attended);
        device.rmsNorm(attended, layer.norm(), count * shape.heads(), shape.headDim(), epsilon, attended);
        device.gatedActivation(Gate.SILU, gate, attended, (long) count * delta.values(), attended);
        device.linear(attended, count, new Projection(layer.output(), null, out));
    }

    /**
     * A selective state space.
     *
     * @param store which of the states
     * @param x rows × hidden
     * @param out receives rows × hidden
     */
    void run(Mixer.Mamba layer, int store, Buffer x, BatchRows rows, Buffer out) {
        int count = rows.count();
        device.linear(
                x,
                count,
                new Projection(layer.gate(), null, gate),
                new Projection(layer.input(), null, mixed),
                new Projection(layer.steps(), null, alpha));
        convolve(layer.convolution(), layer.convolutionBias(), true, store, mixed, rows);
        int groups = shape.keyHeads();
        ScanShape scan = new ScanShape(groups, shape.heads(), shape.headDim(), shape.stateDim());
        device.selectiveScan(convolved, alpha, layer.weights(), scan, current.matrices.get(store), rows, attended);
        device.gatedActivation(Gate.SILU, gate, attended, (long) count * scan.values(), attended);
        device.rmsNorm(attended, layer.norm(), groups, count * groups, scan.values() / groups, epsilon, attended);
        device.linear(attended, count, new Projection(layer.output(), null, out));
    }

    /**
     * A gated short convolution.
     *
     * @param store which of the states
     * @param x rows × hidden
     * @param out receives rows × hidden
     */
    void run(Mixer.ShortConvolution layer, int store, Buffer x, BatchRows rows, Buffer out) {
        int count = rows.count();
        long elements = (long) count * hidden;
        device.linear(
                x,
                count,
                new Projection(layer.before(), null, gate),
                new Projection(layer.after(), null, out),
                new Projection(layer.value(), null, mixed));
        device.gatedActivation(Gate.IDENTITY, gate, mixed, elements, mixed);
        convolve(layer.convolution(), null, false, store, mixed, rows);
        device.gatedActivation(Gate.IDENTITY, out, convolved, elements, convolved);
        device.linear(convolved, count, new Projection(layer.output(), null, out));
    }

    private void convolve(Buffer weight, @Nullable Buffer bias, boolean silu, int store, Buffer x, BatchRows rows) {
        Buffer state = current.convolutions.get(store);
        device.convolve(x, weight, bias, shape.channels(), shape.kernel(), silu, state, rows, convolved);
    }

    private States of(@Nullable KeptState copy) {
        return copy == null ? current : Objects.requireNonNull(kept.get(copy));
    }

    /** Keeps a sequence's state as it is now. */
    void save(KeptState as, int slot) {
        copy(current, slot, of(as), slot);
    }

    /** Makes a sequence's state what was kept last. */
    void restore(KeptState from, int slot) {
        copy(of(from), slot, current, slot);
    }

    /**
     * Makes the state of one sequence what that of another is, or what is kept of that.
     *
     * @param source what is kept of it, or null for what it is
     * @param copies what is kept of it and copied, too; not what is kept for drafts
     */
    void fork(@Nullable KeptState source, Set<KeptState> copies, int from, int to) {
        for (KeptState each : copies) {
            copy(of(each), from, current, to); // rows are gathered from one buffer to another alone
            copy(current, to, of(each), to);
        }
        States between = of(source);
        if (source == null) {
            between = of(KeptState.DRAFTS);
            copy(current, from, between, to);
        }
        copy(between, source == null ? to : from, current, to);
    }

    private void copy(States from, int slot, States to, int toSlot) {
        int heads = shape.heads();
        int[] rows = IntStream.range(slot * heads, (slot + 1) * heads).toArray();
        for (int layer = 0; layer < shape.layers(); layer++) {
            int elements = Math.toIntExact(shape.convolutionElements());
            Buffer convolution = to.convolutions.get(layer);
            device.gatherRows(from.convolutions.get(layer), elements, new int[] {slot}, convolution, toSlot);
            if (heads > 0) {
                int of = shape.headDim() * shape.stateDim();
                device.gatherRows(from.matrices.get(layer), of, rows, to.matrices.get(layer), toSlot * heads);
            }
        }
    }

    /** Bytes of a sequence's state. */
    long stateBytes() {
        return (shape.convolutionElements() + shape.matrixElements()) * shape.layers() * Float.BYTES;
    }

    /** Copies a sequence's state, or what is kept of it, to the host. */
    void read(@Nullable KeptState copy, int slot, MemorySegment target) {
        visit(of(copy), slot, target, Buffer::read);
    }

    /** Makes a sequence's state, or what is kept of it, what {@link #read} gave. */
    void write(@Nullable KeptState copy, int slot, MemorySegment source) {
        visit(of(copy), slot, source, Buffer::write);
    }

    /** Copies from a place of a buffer, or to it. */
    @FunctionalInterface
    private interface Move {
        void move(Buffer buffer, long at, MemorySegment host);
    }

    private void visit(States states, int slot, MemorySegment host, Move move) {
        long convolution = shape.convolutionElements() * Float.BYTES;
        long matrix = shape.matrixElements() * Float.BYTES;
        for (int layer = 0; layer < shape.layers(); layer++) {
            long at = (convolution + matrix) * layer;
            move.move(states.convolutions.get(layer), slot * convolution, host.asSlice(at, convolution));
            if (matrix > 0) {
                move.move(states.matrices.get(layer), slot * matrix, host.asSlice(at + convolution, matrix));
            }
        }
    }
}
