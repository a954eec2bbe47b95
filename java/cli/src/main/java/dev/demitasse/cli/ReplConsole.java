package dev.demitasse.cli;

import dev.demitasse.CacheFolder;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.reader.impl.completer.StringsCompleter;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jspecify.annotations.Nullable;

/** Where a chat reads lines and writes answers: a person's terminal, or a pipe. */
interface ReplConsole extends AutoCloseable {
    /** The next line; null at the end. Ctrl-C gives up what was typed and reads on. */
    @Nullable
    String readLine(String prompt) throws IOException;

    /** Writes text that cannot steer a terminal. */
    void print(String text);

    /** Writes what a model thinks before it answers, where that is no part of the answer. */
    void printThought(String text);

    /** Writes a line of figures about an answer, where it is no part of that. */
    void printFigures(String line);

    /** From now on Ctrl-C runs {@code action}; the result makes it what it was. */
    Runnable onInterrupt(Runnable action);

    @Override
    void close() throws IOException;

    /** A line of its own. */
    default void println(String line) {
        print(line + "\n");
    }

    /** The one that standard input is. */
    static ReplConsole open(List<String> commands) throws IOException {
        return Console.isTerminal(0) && Console.isTerminal(1) ? new OfPerson(commands) : new OfPipe();
    }

    /** Lines as they come, the last one also without an end; nothing is printed but answers. */
    final class OfPipe implements ReplConsole {
        private final BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));

        @Override
        public @Nullable String readLine(String prompt) throws IOException {
            return in.readLine();
        }

        @Override
        public void print(String text) {
            Output.print(text);
        }

        @Override
        public void printThought(String text) {
            Console.thought(text);
        }

        @Override
        public void printFigures(String line) {
            Console.note(line);
        }

        @Override
        public Runnable onInterrupt(Runnable action) {
            return () -> {};
        }

        @Override
        public void close() {}
    }

    /** With history and completion. */
    final class OfPerson implements ReplConsole {
        private final Terminal terminal;
        private final LineReader reader;

        OfPerson(List<String> commands) throws IOException {
            terminal = TerminalBuilder.builder()
                    .system(true)
                    .dumb(true)
                    .encoding(StandardCharsets.UTF_8)
                    .build();
            LineReaderBuilder builder = LineReaderBuilder.builder()
                    .terminal(terminal)
                    .appName("demitasse")
                    .completer(new StringsCompleter(commands))
                    .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true);
            Path folder = CacheFolder.path();
            try {
                Files.createDirectories(folder);
                if (Files.isWritable(folder)) {
                    builder.variable(LineReader.HISTORY_FILE, folder.resolve("history"));
                }
            } catch (IOException e) {
                Console.note("demitasse: lines are not remembered: " + TextFile.reason(e, folder));
            }
            reader = builder.build();
        }

        @Override
        public @Nullable String readLine(String prompt) {
            while (true) {
                try {
                    return reader.readLine(prompt);
                } catch (UserInterruptException e) {
                    println("(Ctrl-D or /bye ends)");
                } catch (EndOfFileException e) {
                    String rest = e.getPartialLine();
                    return rest == null || rest.isEmpty() ? null : rest;
                }
            }
        }

        @Override
        public void print(String text) {
            terminal.writer().print(Console.harmless(text));
            terminal.flush();
        }

        @Override
        public void printThought(String text) {
            terminal.writer().print(Console.dim(Console.harmless(text)));
            terminal.flush();
        }

        @Override
        public void printFigures(String line) {
            terminal.writer().println(Console.dim(line));
            terminal.flush();
        }

        @Override
        public Runnable onInterrupt(Runnable action) {
            Terminal.SignalHandler before = terminal.handle(Terminal.Signal.INT, signal -> action.run());
            return () -> terminal.handle(Terminal.Signal.INT, before);
        }

        @Override
        public void close() throws IOException {
            terminal.close();
        }
    }
}
