package dev.demitasse.device;

import static dev.demitasse.device.Arguments.require;
import static dev.demitasse.device.Arguments.requireAccess;

import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import dev.demitasse.quant.WeightLayout;
import java.lang.foreign.MemorySegment;

/**
 * What {@link CheckedDevice} hands out for a thing of its device: can be closed twice, and when the device is closed
 * already, and is refused afterwards.
 *
 * @param <T> the thing
 */
abstract class CheckedHandle<T extends AutoCloseable> {
    final CheckedDevice owner;
    final T inner;
    private boolean released;

    private CheckedHandle(CheckedDevice owner, T inner) {
        this.owner = owner;
        this.inner = inner;
    }

    /** The thing, for a device that must be the one that handed it out. */
    T open(CheckedDevice user, String what) {
        if (user != owner) {
            throw user.foreign(what);
        }
        if (released) {
            throw new UsageException("The " + what + " is closed.");
        }
        return inner;
    }

    void release(Runnable close) {
        synchronized (owner) {
            if (!released) {
                released = true;
                owner.forgetPasses(); // they may use it
                close.run();
            }
        }
    }

    /** A buffer. */
    static final class Memory extends CheckedHandle<Buffer> implements Buffer {
        Memory(CheckedDevice owner, Buffer inner) {
            super(owner, inner);
        }

        @Override
        public long bytes() {
            return inner.bytes();
        }

        private Buffer range(long offset, MemorySegment memory) {
            Buffer buffer = open(owner, "buffer");
            require(
                    offset >= 0 && memory.byteSize() <= bytes() - offset,
                    () -> memory.byteSize() + " bytes from " + offset + " on are not within a buffer of " + bytes()
                            + ".");
            requireAccess(memory);
            return buffer;
        }

        @Override
        public void write(long offset, MemorySegment source) {
            owner.recorded(() -> range(offset, source).write(offset, source));
        }

        @Override
        public void read(long offset, MemorySegment target) {
            owner.started(() -> {
                require(!target.isReadOnly(), () -> "The memory to read to is read-only.");
                range(offset, target).read(offset, target);
            });
        }

        @Override
        public void close() {
            release(inner::close);
        }
    }

    /** A matrix. */
    static final class Matrix extends CheckedHandle<LinearWeight> implements LinearWeight {
        Matrix(CheckedDevice owner, LinearWeight inner) {
            super(owner, inner);
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

    /** A group of matrices. */
    static final class Group extends CheckedHandle<WeightGroup> implements WeightGroup {
        Group(CheckedDevice owner, WeightGroup inner) {
            super(owner, inner);
        }

        @Override
        public int groups() {
            return inner.groups();
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

    /** Which experts rows have. */
    static final class Choice extends CheckedHandle<Routes> implements Routes {
        private int rows; // that were routed
        private long epoch = -1; // when

        Choice(CheckedDevice owner, Routes inner) {
            super(owner, inner);
        }

        /** So many rows are routed, at some time. */
        void routed(int count, long when) {
            rows = count;
            epoch = when;
        }

        /** What was routed does not count any more. */
        void forget() {
            epoch = -1;
        }

        /** Rows that were routed. What was routed in a pass counts there alone, as it may come back with others. */
        int rows(long now) {
            require(
                    epoch == now,
                    () -> "No experts are chosen: route comes before what is done with its choice, in the same pass"
                            + " where it is done in one.");
            return rows;
        }

        @Override
        public Routing routing() {
            return inner.routing();
        }

        @Override
        public int maximumRows() {
            return inner.maximumRows();
        }

        @Override
        public int places(int count) {
            require(
                    count >= 0 && count <= maximumRows(),
                    () -> count + " rows are more than the " + maximumRows() + " for which there is room.");
            return inner.places(count);
        }

        @Override
        public int places() {
            return places(rows);
        }

        @Override
        public void close() {
            release(inner::close);
        }
    }

    /** Memory of a cache. */
    static final class Cache extends CheckedHandle<KvStore> implements KvStore {
        Cache(CheckedDevice owner, KvStore inner) {
            super(owner, inner);
        }

        @Override
        public KvShape shape() {
            return inner.shape();
        }

        @Override
        public String layout() {
            return inner.layout();
        }

        @Override
        public long pageBytes() {
            return inner.pageBytes();
        }

        private KvStore page(int page) {
            KvStore store = open(owner, "cache");
            require(
                    page >= 0 && page < shape().pages(),
                    () -> "Page " + page + " is not one of " + shape().pages() + ".");
            return store;
        }

        private KvStore page(int page, MemorySegment memory) {
            require(
                    memory.byteSize() == pageBytes(),
                    () -> "A page has " + pageBytes() + " bytes, not " + memory.byteSize() + ".");
            requireAccess(memory);
            return page(page);
        }

        @Override
        public void readPage(int page, MemorySegment target) {
            owner.started(() -> {
                require(!target.isReadOnly(), () -> "The memory to read to is read-only.");
                page(page, target).readPage(page, target);
            });
        }

        @Override
        public void writePage(int page, MemorySegment source) {
            owner.recorded(() -> page(page, source).writePage(page, source));
        }

        @Override
        public void copyPage(int from, int to) {
            owner.started(() -> {
                page(from);
                page(to).copyPage(from, to);
            });
        }

        @Override
        public void close() {
            release(inner::close);
        }
    }

    /** A buffer of tokens. */
    static final class Tokens extends CheckedHandle<TokenBuffer> implements TokenBuffer {
        private int columns = 1; // of all rows that were sampled, the most

        Tokens(CheckedDevice owner, TokenBuffer inner) {
            super(owner, inner);
        }

        /** Tokens below {@code count} may be sampled into it. */
        void sampled(int count) {
            columns = Math.max(columns, count);
        }

        /** How many tokens there are to choose from. */
        int columns() {
            return columns;
        }

        @Override
        public int capacity() {
            return inner.capacity();
        }

        /** The thing, with room for {@code count} tokens from {@code first} on. */
        TokenBuffer range(CheckedDevice user, int first, int count) {
            TokenBuffer tokens = open(user, "buffer of tokens");
            require(
                    first >= 0 && count >= 0 && count <= capacity() - first,
                    () -> count + " tokens from " + first + " on are not within a buffer of " + capacity() + ".");
            return tokens;
        }

        @Override
        public void read(int[] out, int count) {
            owner.started(() -> {
                TokenBuffer tokens = range(owner, 0, count);
                require(count <= out.length, () -> count + " tokens do not fit an array of " + out.length + ".");
                tokens.read(out, count);
            });
        }

        @Override
        public void close() {
            release(inner::close);
        }
    }
}
