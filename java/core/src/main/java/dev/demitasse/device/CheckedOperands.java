package dev.demitasse.device;

import static dev.demitasse.device.Arguments.require;

import dev.demitasse.exception.UsageException;
import dev.demitasse.kv.KvShape;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What operations are given, as the device's own: each of its kind, open, of this device, and large enough. */
final class CheckedOperands {
    private final CheckedDevice owner;
    private @Nullable BatchRows lastRows;
    private int lastPages; // of the smallest cache that the last rows were checked against; 0: of none

    /** The pass whose operations are called, or null: it hears what its ids, positions and states may be. */
    @Nullable
    CheckedPass running;

    CheckedOperands(CheckedDevice owner) {
        this.owner = owner;
    }

    /**
     * Rows whose arrays nobody else has: a device may keep them for the layers of a forward pass, and what was checked
     * stays so. The same numbers are the same object.
     */
    BatchRows rows(BatchRows rows, KvShape shape) {
        if (running != null) {
            running.limitPages(shape);
        }
        BatchRows known = lastRows;
        if (known != null && known.sameAs(rows)) {
            if (lastPages == 0 || shape.pages() < lastPages) {
                known.requirePages(shape);
                lastPages = shape.pages();
            }
            return known;
        }
        rows.requirePages(shape);
        known = rows.copy();
        lastRows = known;
        lastPages = shape.pages();
        return known;
    }

    /** Rows of which nothing is checked. */
    BatchRows known(BatchRows rows) {
        BatchRows known = lastRows;
        return known != null && known.sameAs(rows) ? known : rows.copy();
    }

    /** The same for rows whose sequences have states of {@code elements} numbers in a buffer. */
    BatchRows rows(BatchRows rows, Buffer state, long elements) {
        long slots = state.bytes() / (elements * Float.BYTES);
        rows.requireSlots(slots);
        if (running != null) {
            running.limitSlots(slots);
        }
        BatchRows known = lastRows;
        if (known == null || !known.sameAs(rows)) {
            known = rows.copy();
            lastRows = known;
            lastPages = 0;
        }
        return known;
    }

    /** The device's own buffer, with at least {@code bytes} bytes. */
    Buffer bytes(Buffer buffer, long bytes) {
        if (!(Objects.requireNonNull(buffer, "buffer") instanceof CheckedHandle.Memory own)) {
            throw owner.foreign("buffer");
        }
        Buffer inner = own.open(owner, "buffer");
        if (bytes < 0 || bytes > inner.bytes()) {
            throw new UsageException("An operation needs " + bytes + " bytes of a buffer of " + inner.bytes() + ".");
        }
        return inner;
    }

    Buffer floats(Buffer buffer, long elements) {
        return bytes(
                buffer,
                elements < 0 ? -1 : elements > Long.MAX_VALUE / Float.BYTES ? Long.MAX_VALUE : elements * Float.BYTES);
    }

    Buffer floats(Buffer buffer, long rows, long columns) {
        return floats(buffer, rows * columns);
    }

    CheckedHandle.Tokens tokens(TokenBuffer tokens) {
        if (!(Objects.requireNonNull(tokens, "tokens") instanceof CheckedHandle.Tokens own)) {
            throw owner.foreign("buffer of tokens");
        }
        return own;
    }

    /** The device's own tokens, of which {@code count} will index a table of {@code tableRows}. */
    TokenBuffer indices(TokenBuffer tokens, int count, int tableRows) {
        CheckedHandle.Tokens handle = tokens(tokens);
        TokenBuffer own = handle.range(owner, 0, count);
        require(
                handle.columns() <= tableRows,
                () -> "Tokens of " + handle.columns() + " do not index a table of " + tableRows + ".");
        return own;
    }

    LinearWeight weight(LinearWeight weight) {
        if (!(Objects.requireNonNull(weight, "weight") instanceof CheckedHandle.Matrix own)) {
            throw owner.foreign("weight");
        }
        return own.open(owner, "weight");
    }

    WeightGroup group(WeightGroup group) {
        if (!(Objects.requireNonNull(group, "group") instanceof CheckedHandle.Group own)) {
            throw owner.foreign("group of weights");
        }
        return own.open(owner, "group of weights");
    }

    CheckedHandle.Choice choice(Routes routes) {
        if (!(Objects.requireNonNull(routes, "routes") instanceof CheckedHandle.Choice own)) {
            throw owner.foreign("choice of experts");
        }
        return own;
    }

    /** What a handle is given out as. */
    CheckedDevice owner() {
        return owner;
    }

    KvStore store(KvStore store, int layer) {
        if (!(Objects.requireNonNull(store, "kv") instanceof CheckedHandle.Cache own)) {
            throw owner.foreign("cache");
        }
        KvStore inner = own.open(owner, "cache");
        int layers = inner.shape().layers();
        if (layer < 0 || layer >= layers) {
            throw new UsageException("Layer " + layer + " is not one of the cache's " + layers + ".");
        }
        return inner;
    }
}
