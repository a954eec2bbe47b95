package dev.demitasse.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** What goes to standard error, and whether a person sees it. */
final class Console {
    private static final String DIM = "\u001B[2m";

    private Console() {}

    /** A line for people; what files or models put into it cannot steer their terminal. */
    static void note(String line) {
        System.err.println(harmless(line));
    }

    /** A piece of what a model thinks before it answers: on standard error, since it is no answer. */
    static void thought(String piece) {
        System.err.print(isTerminal(2) ? dim(harmless(piece)) : piece);
        System.err.flush();
    }

    /** A note, dimmed where colors are wanted. */
    static void dimNote(String line) {
        System.err.println(dim(line));
    }

    /**
     * A text of a file's or a model's with control characters spelled out ({@code \x1b}), but for line ends and tabs,
     * so that it cannot move the cursor, set colors or a title, or turn the direction of writing.
     */
    static String harmless(String text) {
        if (text.chars().noneMatch(Console::steers)) {
            return text;
        }
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            out.append(
                    steers(c)
                            ? String.format(Locale.ROOT, c < 0x100 ? "\\x%02x" : "\\u%04x", (int) c)
                            : String.valueOf(c));
        }
        return out.toString();
    }

    private static boolean steers(int c) {
        boolean turns = c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069;
        return c != '\n' && c != '\t' && (Character.isISOControl(c) || turns);
    }

    /** Whether a person sees standard error: bars that move belong nowhere else. */
    static boolean interactive() {
        return isTerminal(2);
    }

    /**
     * Whether standard input (0), output (1) or error (2) is a terminal; where the system does not tell, whether all
     * are.
     */
    @SuppressWarnings("SystemConsoleNull") // the JDK still declares it nullable
    static boolean isTerminal(int descriptor) {
        try {
            String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor))
                    .toString();
            return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") || target.equals("/dev/console");
        } catch (IOException | UnsupportedOperationException e) { // no such files here
            java.io.Console console = System.console();
            return console != null && console.isTerminal();
        }
    }

    /** How many windows of a text are run, on a terminal. */
    static void showWindows(int done, int total) {
        if (interactive()) {
            System.err.print("\rwindow " + done + " of " + total + (done == total ? System.lineSeparator() : ""));
        }
    }

    /** Whether colors are wanted. */
    static boolean colors() {
        String off = System.getenv("NO_COLOR");
        String terminal = System.getenv("TERM");
        return interactive() && (off == null || off.isEmpty()) && terminal != null && !terminal.equals("dumb");
    }

    /** The text, dimmed where colors are wanted. */
    static String dim(String text) {
        return colors() ? DIM + harmless(text) + "\u001B[0m" : text;
    }
}
