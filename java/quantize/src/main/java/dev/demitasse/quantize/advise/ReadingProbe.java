package dev.demitasse.quantize.advise;

import dev.demitasse.device.Device;
import java.util.ArrayList;
import java.util.List;

/**
 * Times reading: weights that are read over and over. A processor's last cache holds some models whole, some in part
 * and some not at all, and no processor tells how much of it is one's own.
 */
final class ReadingProbe {
    private static final long MEBI = 1L << 20;
    private static final long[] BYTES = {32 * MEBI, 64 * MEBI, 128 * MEBI, 256 * MEBI, 512 * MEBI};
    /** Sets are taken up to so many times what a step reads. */
    private static final double BEYOND = 1.5;
    /** Of the memory that is free, what is read takes at most the SHARE-th part. */
    private static final int SHARE = 4;
    /** What more bytes take longer at least, where a timing was disturbed. */
    private static final double LEAST_SECONDS = 1e-7;

    private final LinearProbe probe;
    private final List<Long> copies = new ArrayList<>(); // of its matrix
    private final List<Stopwatch.Timing> timings = new ArrayList<>();

    /**
     * Takes up what is to be read; nothing where a device runs beside the host, whose cache counts for little.
     *
     * @param probe of a layout that is little work for its bytes
     * @param wanted bytes that a step reads at most
     */
    ReadingProbe(Device device, LinearProbe probe, double wanted, Stopwatch stopwatch) {
        this.probe = probe;
        long most = device.runsAhead() ? 0 : device.freeBytes() / SHARE;
        for (long bytes : BYTES) {
            if (bytes <= most && (bytes == BYTES[0] || bytes < BEYOND * wanted)) {
                long count = Math.ceilDiv(bytes, probe.bytes());
                copies.add(count);
                timings.add(probe.timeSteady(stopwatch, count));
            }
        }
    }

    /**
     * Seconds by bytes that are read over and over.
     *
     * @param launch seconds of one
     * @param bandwidth bytes a second from memory, where nothing was timed
     */
    Curve seconds(double launch, double bandwidth) {
        if (timings.isEmpty() || !timings.getLast().isTimed()) {
            return Curve.line(0, 1 / bandwidth);
        }
        double[] bytes = new double[timings.size() + 1]; // nothing takes no time
        double[] seconds = new double[bytes.length];
        for (int i = 1; i < bytes.length; i++) {
            double count = copies.get(i - 1);
            bytes[i] = count * probe.bytes();
            seconds[i] =
                    Math.max(seconds[i - 1] + LEAST_SECONDS, timings.get(i - 1).seconds() - count * launch);
        }
        int last = bytes.length - 1;
        for (int i = last - 1; i > 0; i--) { // fewer bytes are not read more slowly
            seconds[i] = Math.min(seconds[i], seconds[i + 1] * bytes[i] / bytes[i + 1]);
        }
        return new Curve(bytes, seconds, seconds[last] / bytes[last]);
    }
}
