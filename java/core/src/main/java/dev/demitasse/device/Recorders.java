package dev.demitasse.device;

import dev.demitasse.exception.DeviceFailedException;
import java.util.Collections;
import java.util.HashSet;
import java.util.Set;
import java.util.WeakHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The threads that have recorded operations which may not have run, so that those whose operations are dropped hear of
 * it instead of reading old numbers.
 */
final class Recorders {
    private @Nullable Thread last;
    private final Set<Thread> threads = new HashSet<>();
    private final Set<Thread> bereft = Collections.newSetFromMap(new WeakHashMap<>());

    /**
     * The current thread is about to record an operation.
     *
     * @throws DeviceFailedException where what it had recorded was dropped, once
     */
    void add() {
        Thread current = Thread.currentThread();
        if (!bereft.isEmpty() && bereft.remove(current)) {
            throw new DeviceFailedException(
                    "What this thread had recorded was dropped, since an operation of another thread"
                            + " failed half-way. Record it again.");
        }
        if (last != current) {
            last = current;
            threads.add(current);
        }
    }

    /** All that was recorded is under way, or has run. */
    void clear() {
        last = null;
        threads.clear();
    }

    /** All that was recorded is dropped; the current thread knows. */
    void drop() {
        bereft.addAll(threads);
        bereft.remove(Thread.currentThread());
        clear();
    }
}
