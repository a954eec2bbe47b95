package dev.demitasse.gpu;

import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What a device's memory is taken for, so that a message can say what holds it. Not thread-safe: its owner serializes.
 */
public final class MemoryLedger {
    private final Map<Purpose, Long> bytes = new EnumMap<>(Purpose.class);

    /** What memory is for. */
    public enum Purpose {
        /** Matrices of a model. */
        WEIGHTS,
        /** Keys and values. */
        CACHE,
        /** Activations, and what the caller allocates. */
        BUFFERS,
        /** What the device needs for itself. */
        WORKSPACE;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** An empty ledger. */
    public MemoryLedger() {}

    /** Enters memory that was allocated, or, with a negative number, freed. */
    public void enter(Purpose purpose, long change) {
        bytes.merge(purpose, change, Long::sum);
    }

    /** Bytes that are held. */
    public long total() {
        return bytes.values().stream().mapToLong(Long::longValue).sum();
    }

    /** What holds memory, for people. */
    @Override
    public String toString() {
        return bytes.entrySet().stream()
                .map(entry -> entry.getKey() + " hold " + mebibytes(entry.getValue()) + " MiB")
                .collect(Collectors.joining(", "));
    }

    /** MiB that hold so many bytes. */
    public static long mebibytes(long bytes) {
        return (bytes + (1 << 20) - 1) >> 20;
    }
}
