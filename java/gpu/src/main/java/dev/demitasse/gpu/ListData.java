package dev.demitasse.gpu;

import java.util.ArrayList;
import java.util.List;

/**
 * Memory for the data of a list of steps: on the host, and its copy on the device. It is busy from the launch of the
 * list until that is complete.
 */
public abstract class ListData implements StepData, AutoCloseable {
    /** Bytes of it. */
    public static final int BYTES = 8 << 20;

    private final List<RunEvent> events = new ArrayList<>();
    private long launch; // the number of the last one
    private boolean busy;

    /** Memory that no list reads. */
    protected ListData() {}

    /** Copies the first bytes to the device, before what is launched from now on. */
    protected abstract void copy(int bytes);

    /** Remembers what was launched so far, for {@link #awaitMark}. */
    protected abstract void mark();

    /** Waits for what was launched up to {@link #mark}. */
    protected abstract void awaitMark();

    /** Gives it back; nothing must be under way. */
    @Override
    public abstract void close();

    boolean busy() {
        return busy;
    }

    long launch() {
        return launch;
    }

    /** A list that reads it has been launched. */
    void launched(long number) {
        mark();
        launch = number;
        busy = true;
    }

    /** Tells {@code event} when the list is known to be complete. */
    void add(RunEvent event) {
        events.add(event);
    }

    /** Waits until the list is complete. */
    void await() {
        if (busy) {
            awaitMark();
            completed();
        }
    }

    /** The list is complete. */
    void completed() {
        busy = false;
        events.forEach(RunEvent::complete);
        events.clear();
    }
}
