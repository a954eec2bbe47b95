package dev.demitasse.cli;

import dev.demitasse.DemitasseException;
import dev.demitasse.UsageException;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The {@code demitasse} command. Exit codes: 0, 1 (failed), 2 (wrong usage). */
@Command(
        name = "demitasse",
        description = "Quantised language models, fast, from Java.",
        mixinStandardHelpOptions = true,
        version = "demitasse 0.1.0")
public final class Main implements Runnable {
    private static final int FAILED = 1;
    private static final int WRONG_USAGE = 2;

    @Spec
    @Nullable
    CommandSpec spec;

    @Option(
            names = "--verbose",
            scope = CommandLine.ScopeType.INHERIT,
            description = "Print the stack trace of a failure.")
    boolean verbose;

    private static final Map<String, Supplier<Object>> COMMANDS = commands();

    private Main() {}

    private static Map<String, Supplier<Object>> commands() {
        Map<String, Supplier<Object>> commands = new LinkedHashMap<>();
        commands.put("chat", ChatCommand::new);
        commands.put("generate", GenerateCommand::new);
        commands.put("pull", PullCommand::new);
        commands.put("ls", LsCommand::new);
        commands.put("show", ShowCommand::new);
        commands.put("tokenize", TokenizeCommand::new);
        commands.put("bench", BenchCommand::new);
        commands.put("perplexity", PerplexityCommand::new);
        commands.put("devices", DevicesCommand::new);
        commands.put("generate-completion", AutoComplete.GenerateCompletion::new);
        return commands;
    }

    /** Runs the command. */
    public static void main(String[] arguments) {
        OutputStream out = new FileOutputStream(FileDescriptor.out);
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8));
        System.exit(run(arguments));
    }

    /** Runs the command and returns its exit code. */
    static int run(String... arguments) {
        Main main = new Main();
        CommandLine command = new CommandLine(main);
        // Describing a command to the parser takes tens of milliseconds, so only the one that is asked for is.
        String first = arguments.length > 0 ? arguments[0] : "";
        boolean one = COMMANDS.containsKey(first) && !first.equals("generate-completion");
        COMMANDS.forEach((name, create) -> {
            if (!one || name.equals(first)) {
                command.addSubcommand(name, create.get());
            }
        });
        command.setCaseInsensitiveEnumValuesAllowed(true)
                .setExecutionExceptionHandler((e, line, result) -> failure(e, main.verbose));
        return command.execute(arguments);
    }

    private static int failure(Exception e, boolean verbose) {
        boolean expected = e instanceof DemitasseException;
        Console.note("demitasse: " + (expected ? String.valueOf(e.getMessage()) : e.toString()));
        if (verbose || !expected) {
            e.printStackTrace(System.err);
        }
        return e instanceof UsageException ? WRONG_USAGE : FAILED;
    }

    @Override
    public void run() {
        CommandSpec current = spec;
        if (current != null) {
            throw new CommandLine.ParameterException(current.commandLine(), "Name a command.");
        }
    }
}
