package dev.demitasse.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Standard output in UTF-8. A {@link PrintStream} swallows errors; {@link #requireOpen} asks whether what was printed
 * has arrived, so that a full disk is no success and nobody computes for a reader that has gone.
 */
final class Output extends OutputStream {
    private static @Nullable String failure;

    private final OutputStream descriptor;

    private Output(FileDescriptor descriptor) {
        this.descriptor = new FileOutputStream(descriptor);
    }

    /** Makes the process's standard output and error such streams. */
    static void install() {
        System.setOut(new PrintStream(new Output(FileDescriptor.out), true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8));
    }

    /** Prints a piece of an answer at once; on a terminal it cannot steer that. */
    static void print(String text) {
        System.out.print(Console.isTerminal(1) ? Console.harmless(text) : text);
        System.out.flush();
        requireOpen();
    }

    /**
     * Fails where something that was printed did not arrive.
     *
     * @throws OutputException with the reason
     */
    static void requireOpen() {
        if (System.out.checkError()) {
            String reason = failure == null ? "an error" : failure;
            boolean gone = reason.toLowerCase(Locale.ROOT).contains("broken pipe");
            throw new OutputException("Standard output cannot be written: " + reason + ".", gone);
        }
    }

    @Override
    public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int count) throws IOException {
        try {
            descriptor.write(bytes, from, count);
        } catch (IOException e) {
            failure = String.valueOf(e.getMessage());
            throw e;
        }
    }
}
