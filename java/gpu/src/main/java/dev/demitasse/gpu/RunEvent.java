package dev.demitasse.gpu;

import java.util.Objects;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/**
 * One list of kernels on a GPU, for Java Flight Recorder; the event's own duration is the host's, from the launch to
 * the end.
 */
@Name("demitasse.GpuRun")
@Label("GPU Run")
@Description("Kernels that were launched together")
@Category("Demitasse")
@Enabled(false)
@StackTrace(false)
final class RunEvent extends Event {
    @Label("Device")
    @Description("The device's name")
    String device = "";

    @Label("Kernels")
    int kernels;

    @Label("Graph")
    @Description("Whether they were replayed as they had been recorded")
    boolean graph;

    @Label("GPU Microseconds")
    @Description("From the beginning of the first kernel to the end of the last, gaps included")
    double gpuMicroseconds;

    private transient @Nullable RunTimer timer;

    /** Begins before kernels are launched. */
    void begin(String name, RunTimer clock, int count) {
        device = name;
        kernels = count;
        timer = clock;
        begin();
        clock.begin();
    }

    /** After the launch of all. */
    void launched(boolean asGraph) {
        graph = asGraph;
        Objects.requireNonNull(timer).end();
    }

    /** When the kernels have been waited for. */
    void complete() {
        end();
        gpuMicroseconds = Objects.requireNonNull(timer).microseconds();
        commit();
    }
}
