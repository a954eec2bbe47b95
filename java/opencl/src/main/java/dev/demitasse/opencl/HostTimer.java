package dev.demitasse.opencl;

import dev.demitasse.gpu.RunTimer;

/**
 * Time by the host's clock, the queue being empty before and after, so that lists run one after the other while they
 * are timed: the queue's own events would need one that is slower.
 */
final class HostTimer implements RunTimer {
    private final OpenClContext context;
    private long from;
    private long to;

    HostTimer(OpenClContext context) {
        this.context = context;
    }

    @Override
    public void begin() {
        context.synchronize("running kernels");
        from = System.nanoTime();
    }

    @Override
    public void end() {
        context.synchronize("running kernels");
        to = System.nanoTime();
    }

    @Override
    public double microseconds() {
        return (to - from) / 1e3;
    }
}
