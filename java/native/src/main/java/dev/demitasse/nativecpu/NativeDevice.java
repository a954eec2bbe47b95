package dev.demitasse.nativecpu;

import static dev.demitasse.nativecpu.CommandList.bits;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.demitasse.cpu.PackedMatrix;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.AttentionShape;
import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Gate;
import dev.demitasse.device.KvStore;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Projection;
import dev.demitasse.device.Rope;
import dev.demitasse.exception.BackendUnavailableException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.memory.HostMemory;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;

/**
 * The operations of {@link Device} as commands for the C++ kernels: one is recorded when it is called, and runs, with all that were
 * called before, when a buffer is read.
 */
final class NativeDevice implements Device {
    private static final int GROUP = 32;
    private static final int GROUP_ACTIVATION_BYTES = 16;
    private static final int STATE_HEADER = 16;

    private final ActivationType activations;
    private final InstructionSet instructionSet;
    private final int threads;
    private final CommandList commands;
    private final AttentionPlan plan;
    private HostMemory quantised = HostMemory.allocate(0);
    private HostMemory states = HostMemory.allocate(0);

    NativeDevice(DeviceOptions options, InstructionSet instructionSet, int threads) {
        ActivationType wanted = options.activations();
        this.activations = wanted == null ? ActivationType.INT8 : wanted;
        this.instructionSet = instructionSet;
        this.threads = threads;
        long handle = Kernels.openDevice(instructionSet.ordinal(), threads);
        if (handle == 0) {
            throw new BackendUnavailableException(
                    "native: the operating system gives no " + threads + " threads; ask for fewer.");
        }
        commands = new CommandList(handle);
        plan = new AttentionPlan(commands);
    }

    @Override
    public String name() {
        return "native";
    }

    @Override
    public String description() {
        return "C++ kernels, " + instructionSet.label() + ", " + threads + " threads";
    }

    @Override
    public int threads() {
        return threads;
    }

    @Override
    public ActivationType activations() {
        return activations;
    }

    @Override
    public Buffer allocate(long bytes) {
        return new NativeBuffer(bytes, commands);
    }

    /** Common types are packed by the kernels, straight from the file. */
    @Override
    public LinearWeight upload(MatrixSource source, WeightLayout layout) {
        boolean direct = source.data().isNative() && layout.equals(source.type().layout());
        PackedMatrix packed = direct ? PackedMatrix.ofWords(source) : null;
        if (packed == null) {
            return new NativeWeight(PackedMatrix.pack(source, layout), commands);
        }
        try {
            pack(source, packed);
            return new NativeWeight(packed, commands);
        } catch (RuntimeException | Error e) {
            packed.close();
            throw e;
        }
    }

    private void pack(MatrixSource source, PackedMatrix packed) {
        commands.reserve(1);
        MemorySegment failed = commands.scratch(Integer.BYTES);
        failed.set(JAVA_INT, 0, 0);
        boolean minimum = packed.layout().minimum();
        record(
                Operation.PACK,
                source.data().address(),
                source.rows(),
                source.columns(),
                source.type().blockBytes(),
                packed.layout().element() == WeightLayout.Element.INT4 ? 1 : 0,
                minimum ? 1 : 0,
                packed.quants().address(),
                packed.scales().address(),
                minimum ? packed.mins().address() : 0,
                failed.address());
        commands.run();
        int row = failed.get(JAVA_INT, 0);
        if (row != 0) {
            throw source.notFinite(row - 1, "scale");
        }
    }

    @Override
    public KvStore allocateKv(KvShape shape) {
        return new NativeKvStore(shape, commands);
    }

    /** Records an operation that starts when all before it are complete. */
    private void record(Operation operation, long... arguments) {
        commands.reserve(1);
        commands.add(operation, commands.last(), arguments);
    }

    private static long address(Buffer buffer) {
        return ((NativeBuffer) buffer).address();
    }

    @Override
    public void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        NativeWeight weight = (NativeWeight) table;
        long target = address(out);
        commands.reserve(1);
        record(Operation.EMBED, weight.address(), commands.copy(ids, rows), rows, bits(scale), target);
    }

    @Override
    public void gatherRows(Buffer x, int columns, int[] rows, Buffer out) {
        long source = address(x);
        long target = address(out);
        commands.reserve(1);
        long ids = commands.copy(rows, rows.length);
        record(Operation.GATHER_ROWS, source, columns, ids, rows.length, target);
    }

    @Override
    public void rmsNorm(Buffer x, Buffer weight, int rows, int columns, float epsilon, Buffer out) {
        record(Operation.RMS_NORM, address(x), address(weight), rows, columns, bits(epsilon), address(out));
    }

    @Override
    public void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        record(Operation.QUANTIZE_ROWS, address(x), rows, columns, address(q), address(scales));
    }

    @Override
    public void linear(Buffer x, int rows, Projection... projections) {
        int columns = projections[0].weight().columns();
        long in = address(x);
        boolean quantise = false;
        for (Projection projection : projections) {
            quantise |= quantised(projection);
        }
        long groups = (columns + GROUP - 1) / GROUP;
        long integers = (rows * groups * GROUP + 63) / 64 * 64;
        if (quantise) {
            quantised = grown(quantised, integers + rows * groups * GROUP_ACTIVATION_BYTES);
        }
        commands.reserve(projections.length + 1);
        long wholeRows = activations == ActivationType.INT8_ROW ? 1 : 0;
        long q = quantised.address();
        long activationGroups = q + integers;
        if (quantise) {
            commands.add(Operation.QUANTIZE_PANELS, commands.last(), in, rows, columns, wholeRows, q, activationGroups);
        }
        int after = commands.last(); // the projections run side by side
        for (Projection projection : projections) {
            NativeWeight weight = (NativeWeight) projection.weight();
            Buffer bias = projection.bias();
            commands.add(
                    Operation.LINEAR,
                    after,
                    weight.address(),
                    in,
                    quantised(projection) ? q : 0,
                    activationGroups,
                    bias == null ? 0 : address(bias),
                    address(projection.out()),
                    rows,
                    wholeRows,
                    projection.type().ordinal());
        }
    }

    private boolean quantised(Projection projection) {
        return activations.integers() && projection.weight().layout().element().quantized();
    }

    /** At least {@code bytes}; what waits is run before its memory goes. */
    private HostMemory grown(HostMemory memory, long bytes) {
        if (memory.bytes() >= bytes) {
            return memory;
        }
        commands.run();
        return HostMemory.grown(memory, bytes);
    }

    @Override
    public void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        record(
                Operation.ROPE,
                address(x),
                rows,
                heads,
                headDim,
                ropeDim,
                kind == Rope.NEIGHBOURS ? 1 : 0,
                address(angles));
    }

    @Override
    public void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        NativeKvStore store = (NativeKvStore) kv;
        commands.reserve(1);
        long description = plan.address(rows);
        record(Operation.KV_APPEND, store.address(), layer, address(keys), address(values), description);
    }

    @Override
    public void attention(Buffer q, KvStore kv, int layer, AttentionShape shape, BatchRows rows, Buffer out) {
        NativeKvStore store = (NativeKvStore) kv;
        long queries = address(q);
        long target = address(out);
        commands.reserve(2);
        plan.address(rows);
        AttentionPlan.Blocks blocks = plan.blocks(rows, shape.window());
        long stateBytes = (long) blocks.states() * shape.heads() * (STATE_HEADER + store.paddedDim()) * Float.BYTES;
        if (stateBytes > states.bytes()) {
            states = grown(states, stateBytes); // what the plan had copied is gone with the run
        }
        long description = plan.address(rows);
        blocks = plan.blocks(rows, shape.window());
        long[] arguments = {
            queries,
            store.address(),
            layer,
            shape.heads(),
            bits(shape.scale()),
            bits(shape.softCap()),
            shape.window(),
            description,
            target,
            blocks.address(),
            blocks.count(),
            states.address()
        };
        record(Operation.ATTENTION, arguments);
        if (blocks.states() > 0) {
            record(Operation.ATTENTION_MERGE, arguments);
        }
    }

    @Override
    public void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        record(Operation.GATED_ACTIVATION, gate == Gate.GELU ? 1 : 0, address(g), address(up), count, address(out));
    }

    @Override
    public void add(Buffer x, Buffer y, long count) {
        record(Operation.ADD, address(x), address(y), count);
    }

    @Override
    public void softCap(Buffer x, long count, float cap) {
        record(Operation.SOFT_CAP, address(x), count, bits(cap));
    }

    @Override
    public void discard() {
        commands.discard();
    }

    @Override
    public void close() {
        commands.close();
        quantised.close();
        states.close();
    }
}
