package dev.demitasse.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * What is piped in beside a prompt. It is read while the model loads. Where nothing has come by then and the pipe is still open, a caller has
 * most likely just left it open, and nobody is to wait for ever: that is said, and the prompt stands alone.
 */
final class StandardInput {
    private static final long PATIENCE_MILLISECONDS = 200;

    private final CompletableFuture<byte[]> all = new CompletableFuture<>();
    private final AtomicBoolean begun = new AtomicBoolean();

    private StandardInput(InputStream in) {
        Thread.ofPlatform().daemon().name("demitasse-input").start(() -> read(in));
    }

    /** Begins to read, unless a person sits at the other end; null then. */
    static @Nullable StandardInput piped() {
        return Console.isTerminal(0) || !Main.isProcess() ? null : new StandardInput(System.in);
    }

    private void read(InputStream in) {
        try {
            int first = in.read();
            if (first < 0) {
                all.complete(new byte[0]);
                return;
            }
            begun.set(true);
            byte[] rest = in.readAllBytes();
            byte[] bytes = new byte[rest.length + 1];
            bytes[0] = (byte) first;
            System.arraycopy(rest, 0, bytes, 1, rest.length);
            all.complete(bytes);
        } catch (IOException e) {
            all.completeExceptionally(e); // closed, for example
        }
    }

    /** The text; empty where there is none. */
    String text() {
        try {
            byte[] bytes = begun.get() ? all.get() : all.get(PATIENCE_MILLISECONDS, TimeUnit.MILLISECONDS);
            return new String(bytes, StandardCharsets.UTF_8);
        } catch (TimeoutException e) {
            if (begun.get()) {
                return text();
            }
            Console.note("demitasse: standard input is open and nothing comes; the prompt stands alone.");
            return "";
        } catch (ExecutionException e) {
            return "";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "";
        }
    }

    /** The text of {@code input} after {@code prompt} and a separator, where there is any. */
    static String after(String prompt, String separator, @Nullable StandardInput input) {
        String text = input == null ? "" : input.text();
        return text.isEmpty() ? prompt : prompt + separator + text;
    }
}
