package dev.demitasse.opencl;

import dev.demitasse.gpu.RunTimer;

/** Time by the host's clock, the queue being empty before and after: its events would need a queue that is slower. */
final class HostTimer implements RunTimer {
    private final OpenClContext context;
    private long from;

    HostTimer(OpenClContext context) {
        this.context = context;
    }

    @Override
    public void begin() {
        context.synchronize("running kernels");
        from = System.nanoTime();
    }

    @Override
    public void end() {}

    @Override
    public double microseconds() {
        return (System.nanoTime() - from) / 1e3;
    }
}
