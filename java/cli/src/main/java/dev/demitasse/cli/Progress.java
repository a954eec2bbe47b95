package dev.demitasse.cli;

import java.io.PrintStream;
import java.util.Locale;

/** A progress line on a terminal, or one line at the end where the output is none. */
final class Progress {
    private static final long INTERVAL_NANOS = 100_000_000L;
    private static final int WIDTH = 30;

    private final PrintStream out;
    private final String what;
    private final boolean interactive;
    private long begin = System.nanoTime();
    private long last;
    private long shown;
    private long base = -1;

    Progress(PrintStream out, String what, boolean interactive) {
        this.out = out;
        this.what = what;
        this.interactive = interactive;
    }

    /** Shows {@code done} of {@code total} bytes; a total of 0 or less is unknown. Fewer than before: a next file. */
    void show(long done, long total) {
        long now = System.nanoTime();
        if (done < shown) {
            base = -1;
            begin = now;
        }
        shown = done;
        base = base < 0 ? done : base;
        boolean complete = done == total;
        if (!complete && (!interactive || now - last < INTERVAL_NANOS)) {
            return;
        }
        last = now;
        double seconds = Math.max(1e-3, (now - begin) * 1e-9);
        String speed = String.format(Locale.ROOT, "%.1f MB/s", (done - base) / seconds / 1e6);
        String line;
        if (total > 0) {
            int filled = (int) (WIDTH * done / total);
            line = String.format(
                    Locale.ROOT,
                    "%s [%s%s] %3d %% of %d MB, %s",
                    what,
                    "#".repeat(filled),
                    " ".repeat(WIDTH - filled),
                    100 * done / total,
                    total / 1_000_000,
                    speed);
        } else {
            line = String.format(Locale.ROOT, "%s %d MB, %s", what, done / 1_000_000, speed);
        }
        out.print((interactive ? "\r" : "") + line + (complete || !interactive ? System.lineSeparator() : ""));
        out.flush();
    }
}
