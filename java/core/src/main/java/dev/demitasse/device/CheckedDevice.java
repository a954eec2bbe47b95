package dev.demitasse.device;

import static dev.demitasse.device.Arguments.require;
import static dev.demitasse.device.Arguments.requireAccess;
import static dev.demitasse.device.Arguments.requireIndices;
import static dev.demitasse.device.Arguments.requireRows;

import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.WeightLayout;
import dev.demitasse.sampling.Draw;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The one door to a device: checks every argument, so that no device checks for itself and none can be led out of its
 * memory.
 *
 * <p>Operations of several threads run one after another. Closing waits for the one that runs; afterwards every
 * operation, and every look into a buffer, ends in {@link UsageException}, while buffers, weights and caches can still
 * be closed, in any order.
 *
 * <p>Whatever is wrong with an argument ends in {@link UsageException}, a missing one in {@link NullPointerException};
 * what was recorded before is then as it was. Where the device itself fails (memory, hardware), all that was recorded
 * and not run is dropped.
 */
public final class CheckedDevice implements Device {
    private static final int ACTIVATION_GROUP = 32;

    private final Device device;
    private boolean closed;
    private final Recorders recorders = new Recorders();
    private @Nullable BatchRows lastRows;
    private @Nullable KvShape lastShape;

    private CheckedDevice(Device device) {
        this.device = device;
    }

    /**
     * A device whose arguments are checked before {@code device}, which is from now on used through it alone, sees
     * them.
     */
    public static CheckedDevice of(Device device) {
        return new CheckedDevice(device);
    }

    /** Runs {@code body} without operations of other threads in between. */
    public synchronized void exclusively(Runnable body) {
        body.run();
    }

    private void requireOpen() {
        if (closed) {
            throw new UsageException("The device is closed.");
        }
    }

    /** Before an operation that may run later. */
    private void beginOperation() {
        requireOpen();
        recorders.add();
    }

    /**
     * What was recorded stays after a wrong argument, and is dropped where the device has failed half-way. Other
     * threads that may have recorded some of it hear so at their next operation.
     */
    private void dropAfter(Throwable failure) {
        if (!(failure instanceof UsageException || failure instanceof NullPointerException)) {
            discard();
        }
    }

    /**
     * Rows whose arrays nobody else has: a device may keep them for the layers of a forward pass, and what was checked
     * stays so. The same numbers are the same object.
     */
    private BatchRows rows(BatchRows rows, KvShape shape) {
        BatchRows known = lastRows;
        if (known != null && shape.equals(lastShape) && known.sameAs(rows)) {
            return known;
        }
        rows.requirePages(shape);
        known = rows.copy();
        lastRows = known;
        lastShape = shape;
        return known;
    }

    private UsageException foreign(String what) {
        return new UsageException("A " + what + " of another device was given to \"" + name() + "\".");
    }

    /** What the device calls a thing that this handed out. */
    private abstract class Handle<T extends AutoCloseable> {
        final T inner;
        private boolean released;

        Handle(T inner) {
            this.inner = inner;
        }

        T open(CheckedDevice user, String what) {
            if (user != CheckedDevice.this) {
                throw user.foreign(what);
            }
            if (released) {
                throw new UsageException("The " + what + " is closed.");
            }
            return inner;
        }

        void release(Runnable close) {
            synchronized (CheckedDevice.this) {
                if (!released) {
                    released = true;
                    close.run();
                }
            }
        }
    }

    private final class CheckedBuffer extends Handle<Buffer> implements Buffer {
        CheckedBuffer(Buffer inner) {
            super(inner);
        }

        @Override
        public long bytes() {
            return inner.bytes();
        }

        private Buffer range(long offset, MemorySegment memory) {
            Buffer buffer = open(CheckedDevice.this, "buffer");
            require(
                    offset >= 0 && memory.byteSize() <= bytes() - offset,
                    () -> memory.byteSize() + " bytes from " + offset + " on are not within a buffer of " + bytes()
                            + ".");
            requireAccess(memory);
            return buffer;
        }

        @Override
        public void write(long offset, MemorySegment source) {
            synchronized (CheckedDevice.this) {
                beginOperation();
                try {
                    range(offset, source).write(offset, source);
                } catch (RuntimeException | Error e) {
                    dropAfter(e);
                    throw e;
                }
            }
        }

        @Override
        public void read(long offset, MemorySegment target) {
            synchronized (CheckedDevice.this) {
                beginOperation();
                require(!target.isReadOnly(), () -> "The memory to read to is read-only.");
                try {
                    range(offset, target).read(offset, target);
                    recorders.clear(); // a read runs all that was recorded
                } catch (RuntimeException | Error e) {
                    dropAfter(e);
                    throw e;
                }
            }
        }

        @Override
        public void close() {
            release(inner::close);
        }
    }

    private final class CheckedWeight extends Handle<LinearWeight> implements LinearWeight {
        CheckedWeight(LinearWeight inner) {
            super(inner);
        }

        @Override
        public int rows() {
            return inner.rows();
        }

        @Override
        public int columns() {
            return inner.columns();
        }

        @Override
        public WeightLayout layout() {
            return inner.layout();
        }

        @Override
        public long bytes() {
            return inner.bytes();
        }

        @Override
        public void close() {
            release(inner::close);
        }
    }

    private final class CheckedKvStore extends Handle<KvStore> implements KvStore {
        CheckedKvStore(KvStore inner) {
            super(inner);
        }

        @Override
        public KvShape shape() {
            return inner.shape();
        }

        @Override
        public void close() {
            release(inner::close);
        }
    }

    /** The device's own buffer, with at least {@code bytes} bytes. */
    private Buffer bytes(Buffer buffer, long bytes) {
        if (!(Objects.requireNonNull(buffer, "buffer") instanceof CheckedBuffer own)) {
            throw foreign("buffer");
        }
        Buffer inner = own.open(this, "buffer");
        if (bytes < 0 || bytes > inner.bytes()) {
            throw new UsageException("An operation needs " + bytes + " bytes of a buffer of " + inner.bytes() + ".");
        }
        return inner;
    }

    private Buffer floats(Buffer buffer, long elements) {
        return bytes(
                buffer,
                elements < 0 ? -1 : elements > Long.MAX_VALUE / Float.BYTES ? Long.MAX_VALUE : elements * Float.BYTES);
    }

    private Buffer floats(Buffer buffer, long rows, long columns) {
        return floats(buffer, rows * columns);
    }

    private LinearWeight weight(LinearWeight weight) {
        if (!(Objects.requireNonNull(weight, "weight") instanceof CheckedWeight own)) {
            throw foreign("weight");
        }
        return own.open(this, "weight");
    }

    private KvStore store(KvStore store, int layer) {
        if (!(Objects.requireNonNull(store, "kv") instanceof CheckedKvStore own)) {
            throw foreign("cache");
        }
        KvStore inner = own.open(this, "cache");
        int layers = inner.shape().layers();
        if (layer < 0 || layer >= layers) {
            throw new UsageException("Layer " + layer + " is not one of the cache's " + layers + ".");
        }
        return inner;
    }

    @Override
    public String name() {
        return device.name();
    }

    @Override
    public String description() {
        return device.description();
    }

    @Override
    public int threads() {
        return device.threads();
    }

    @Override
    public ActivationType activations() {
        return device.activations();
    }

    @Override
    public synchronized Buffer allocate(long bytes) {
        requireOpen();
        require(bytes >= 0, () -> "A buffer cannot have " + bytes + " bytes.");
        return new CheckedBuffer(device.allocate(bytes));
    }

    @Override
    public synchronized LinearWeight upload(MatrixSource source, WeightLayout layout) {
        requireOpen();
        requireAccess(source.data());
        return new CheckedWeight(device.upload(source, Objects.requireNonNull(layout, "layout")));
    }

    @Override
    public synchronized KvStore allocateKv(KvShape shape) {
        requireOpen();
        return new CheckedKvStore(device.allocateKv(Objects.requireNonNull(shape, "shape")));
    }

    @Override
    public synchronized void embed(LinearWeight table, int[] ids, int rows, float scale, Buffer out) {
        beginOperation();
        try {
            LinearWeight own = weight(table);
            requireIndices(ids, rows, own.rows());
            device.embed(own, ids, rows, scale, floats(out, rows, own.columns()));
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void gatherRows(Buffer x, int columns, int[] rows, Buffer out) {
        beginOperation();
        try {
            requireRows(rows.length, columns);
            Buffer from = floats(x, columns);
            requireIndices(rows, rows.length, from.bytes() / ((long) columns * Float.BYTES));
            device.gatherRows(from, columns, rows, floats(out, rows.length, columns));
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void rmsNorm(Buffer x, Buffer weight, int rows, int columns, float epsilon, Buffer out) {
        beginOperation();
        try {
            requireRows(rows, columns);
            device.rmsNorm(
                    floats(x, rows, columns),
                    floats(weight, columns),
                    rows,
                    columns,
                    epsilon,
                    floats(out, rows, columns));
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void quantizeRows(Buffer x, int rows, int columns, Buffer q, Buffer scales) {
        beginOperation();
        try {
            requireRows(rows, columns);
            require(
                    columns % ACTIVATION_GROUP == 0,
                    () -> "quantizeRows takes rows of a multiple of " + ACTIVATION_GROUP + " elements, not " + columns
                            + ".");
            long count = (long) rows * columns;
            device.quantizeRows(
                    floats(x, count), rows, columns, bytes(q, count), floats(scales, count / ACTIVATION_GROUP));
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void linear(Buffer x, int rows, Projection... projections) {
        beginOperation();
        try {
            require(projections.length > 0, () -> "linear takes at least one projection.");
            Projection[] own = new Projection[projections.length];
            int columns = projections[0].weight().columns();
            for (int i = 0; i < own.length; i++) {
                own[i] = checked(projections[i], rows, columns);
            }
            device.linear(floats(x, rows, columns), rows, own);
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    private Projection checked(Projection projection, int rows, int columns) {
        LinearWeight weight = weight(projection.weight());
        if (weight.columns() != columns) {
            throw new UsageException(
                    "Weights of one linear have " + columns + " and " + weight.columns() + " columns.");
        }
        Buffer bias = projection.bias();
        return new Projection(
                weight,
                bias == null ? null : floats(bias, weight.rows()),
                bytes(projection.out(), projection.outBytes(rows)),
                Objects.requireNonNull(projection.type(), "type"));
    }

    @Override
    public synchronized void rope(Buffer x, int rows, int heads, int headDim, int ropeDim, Rope kind, Buffer angles) {
        beginOperation();
        try {
            requireRows(rows, headDim);
            require(heads >= 0, () -> "rope takes 0 heads or more, not " + heads + ".");
            require(
                    ropeDim >= 2 && ropeDim % 2 == 0 && ropeDim <= headDim,
                    () -> "rope rotates pairs: " + ropeDim + " elements of heads of " + headDim + " are none.");
            Objects.requireNonNull(kind, "kind");
            require(
                    (long) rows * heads <= Long.MAX_VALUE / headDim,
                    () -> "rope: " + rows + " rows of " + heads + " heads are more than memory holds.");
            Buffer values = floats(x, (long) rows * heads * headDim);
            device.rope(values, rows, heads, headDim, ropeDim, kind, floats(angles, rows, ropeDim));
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void kvAppend(KvStore kv, int layer, Buffer keys, Buffer values, BatchRows rows) {
        beginOperation();
        try {
            KvStore own = store(kv, layer);
            KvShape shape = own.shape();
            BatchRows checked = rows(rows, shape);
            long width = (long) shape.kvHeads() * shape.headDim();
            device.kvAppend(
                    own, layer, floats(keys, checked.count(), width), floats(values, checked.count(), width), checked);
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void attention(
            Buffer q, KvStore kv, int layer, AttentionShape shape, BatchRows rows, Buffer out) {
        beginOperation();
        try {
            KvStore own = store(kv, layer);
            shape.requireFits(own.shape());
            BatchRows checked = rows(rows, own.shape());
            long width = (long) shape.heads() * shape.headDim();
            device.attention(
                    floats(q, checked.count(), width), own, layer, shape, checked, floats(out, checked.count(), width));
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void gatedActivation(Gate gate, Buffer g, Buffer up, long count, Buffer out) {
        beginOperation();
        try {
            device.gatedActivation(
                    Objects.requireNonNull(gate, "gate"),
                    floats(g, count),
                    floats(up, count),
                    count,
                    floats(out, count));
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void add(Buffer x, Buffer y, long count) {
        beginOperation();
        try {
            device.add(floats(x, count), floats(y, count), count);
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void softCap(Buffer x, long count, float cap) {
        beginOperation();
        try {
            device.softCap(floats(x, count), count, cap);
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void sample(Buffer logits, int columns, List<Draw> draws, int[] out) {
        beginOperation();
        try {
            List<Draw> each = List.copyOf(draws);
            requireRows(each.size(), columns);
            require(
                    !each.isEmpty() && each.size() <= out.length,
                    () -> "sample chooses at least one token and at most as many as there is room for: not "
                            + each.size() + " with room for " + out.length + ".");
            device.sample(floats(logits, each.size(), columns), columns, each, out);
            recorders.clear(); // the tokens are there, so all that was recorded has run
        } catch (RuntimeException | Error e) {
            dropAfter(e);
            throw e;
        }
    }

    @Override
    public synchronized void discard() {
        device.discard();
        recorders.drop();
    }

    /** Waits for the operation that runs, then closes the device. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            device.close();
        }
    }

    @Override
    public String toString() {
        return name() + " (" + description() + ")";
    }
}
