package dev.demitasse.cli;

/** What goes to standard error, and whether a person sees it. */
final class Console {
    private Console() {}

    /** A line for people. */
    static void note(String line) {
        System.err.println(line);
    }

    /** Whether standard error is likely a terminal: bars that move belong nowhere else. */
    @SuppressWarnings("SystemConsoleNull") // the JDK still declares it nullable
    static boolean interactive() {
        java.io.Console console = System.console();
        return console != null && console.isTerminal();
    }

    /** Whether colours are wanted. */
    static boolean colours() {
        String off = System.getenv("NO_COLOR");
        return interactive() && (off == null || off.isEmpty());
    }

    /** The text, dimmed where colours are wanted. */
    static String dim(String text) {
        return colours() ? "\u001B[2m" + text + "\u001B[0m" : text;
    }
}
