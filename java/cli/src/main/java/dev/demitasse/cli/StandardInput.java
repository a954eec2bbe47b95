package dev.demitasse.cli;

import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * What is piped in, beside a prompt or as one. It is read while the model loads. A caller that leaves a pipe open and
 * writes nothing to it is not waited for without end: that is an error which says what to do, so that nothing piped in
 * is ever left out silently.
 */
final class StandardInput {
    private static final int NOTE_SECONDS = 2;
    private static final int PATIENCE_SECONDS = 60;
    private static final int MOST_BYTES = 64 << 20;

    private final CountDownLatch begun = new CountDownLatch(1);
    private final CountDownLatch ended = new CountDownLatch(1);
    private byte[] bytes = {};
    private @Nullable String failure;

    private StandardInput(InputStream in) {
        Thread.ofPlatform().daemon().name("demitasse-input").start(() -> read(in));
    }

    /** Begins to read, unless a person sits at the other end; null then. */
    static @Nullable StandardInput piped() {
        return Console.isTerminal(0) || !Main.isProcess() ? null : new StandardInput(System.in);
    }

    private void read(InputStream in) {
        try {
            byte[] first = in.readNBytes(1);
            begun.countDown();
            byte[] rest = first.length == 0 ? first : in.readNBytes(MOST_BYTES);
            if (rest.length == MOST_BYTES) {
                failure =
                        "Standard input holds more than " + (MOST_BYTES >> 20) + " MiB; no context holds so much text.";
                return;
            }
            byte[] all = new byte[first.length + rest.length];
            System.arraycopy(first, 0, all, 0, first.length);
            System.arraycopy(rest, 0, all, first.length, rest.length);
            bytes = all;
        } catch (IOException e) {
            failure = "Standard input cannot be read: " + e.getMessage() + ".";
        } catch (OutOfMemoryError e) {
            failure = "Standard input is too large for this process.";
        } finally {
            begun.countDown();
            ended.countDown();
        }
    }

    /**
     * The text; empty where there is none.
     *
     * @throws UsageException where it cannot be read, is too large, or nothing comes and the pipe stays open
     */
    String text() {
        try {
            if (!begun.await(NOTE_SECONDS, TimeUnit.SECONDS)) {
                Console.note("demitasse: waiting for standard input; close it (</dev/null) where there is none.");
                if (!begun.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                    throw new UsageException("Standard input is open, and nothing came for " + PATIENCE_SECONDS
                            + " seconds; close it (</dev/null) or pipe a text.");
                }
            }
            ended.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new UsageException("The wait for standard input was interrupted.", e);
        }
        if (failure != null) {
            throw new UsageException(failure);
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** The text of {@code input} after {@code prompt} and a separator, where there is any. */
    static String after(String prompt, String separator, @Nullable StandardInput input) {
        String text = input == null ? "" : input.text();
        return text.isEmpty() ? prompt : prompt + separator + text;
    }
}
