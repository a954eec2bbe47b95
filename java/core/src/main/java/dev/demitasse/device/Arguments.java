package dev.demitasse.device;

import dev.demitasse.exception.UsageException;
import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;

/** Rules that arguments of operations must keep. */
final class Arguments {
    private Arguments() {}

    static void require(boolean valid, Supplier<String> rule) {
        if (!valid) {
            throw new UsageException(rule.get());
        }
    }

    static void requireAccess(MemorySegment memory) {
        require(
                memory.scope().isAlive() && memory.isAccessibleBy(Thread.currentThread()),
                () -> "The memory is closed, or belongs to another thread.");
    }

    static void requireRows(int rows, int columns) {
        if (rows < 0 || columns < 1) {
            throw new UsageException(
                    "An operation takes rows of at least one element, not " + rows + " of " + columns + ".");
        }
    }

    static void requireGroups(int[] starts) {
        require(starts.length > 1 && starts[0] == 0, () -> "An operation takes groups of rows, from row 0 on.");
        for (int g = 1; g < starts.length; g++) {
            if (starts[g] < starts[g - 1]) {
                throw new UsageException("Group " + g + " begins at row " + starts[g] + ", before the one before it.");
            }
        }
    }

    static void requireIndices(int[] indices, int count, long limit) {
        require(count >= 0 && count <= indices.length, () -> count + " rows have " + indices.length + " indices.");
        for (int i = 0; i < count; i++) {
            if (indices[i] < 0 || indices[i] >= limit) {
                throw new UsageException("Row " + indices[i] + " is not one of " + limit + ".");
            }
        }
    }
}
