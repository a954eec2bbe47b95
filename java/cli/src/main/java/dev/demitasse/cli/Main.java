package dev.demitasse.cli;

import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.UsageException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.InvalidPathException;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
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
        description = "Quantized language models, fast, from Java.",
        mixinStandardHelpOptions = true,
        version = Main.VERSION)
public final class Main implements Runnable {
    static final String VERSION = "demitasse 0.1.0";

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

    private static boolean process;

    private Main() {}

    /** Whether this is a process of its own, whose standard input is the command's. */
    static boolean isProcess() {
        return process;
    }

    private static Map<String, Supplier<Object>> commands() {
        Map<String, Supplier<Object>> commands = new LinkedHashMap<>();
        commands.put("chat", ChatCommand::new);
        commands.put("generate", GenerateCommand::new);
        commands.put("pull", PullCommand::new);
        commands.put("ls", LsCommand::new);
        commands.put("show", ShowCommand::new);
        commands.put("tokenize", TokenizeCommand::new);
        commands.put("embed", EmbedCommand::new);
        commands.put("bench", BenchCommand::new);
        commands.put("perplexity", PerplexityCommand::new);
        commands.put("quantize", QuantizeCommand::new);
        commands.put("imatrix", ImatrixCommand::new);
        commands.put("evaluate", EvaluateCommand::new);
        commands.put("advise", AdviseCommand::new);
        commands.put("devices", DevicesCommand::new);
        commands.put("tune", TuneCommand::new);
        commands.put("generate-completion", AutoComplete.GenerateCompletion::new);
        return commands;
    }

    /** Runs the command. */
    public static void main(String[] arguments) {
        Locale.setDefault(Locale.ROOT); // digits are digits, whatever the locale
        Output.install();
        process = true;
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
                CommandLine subcommand = new CommandLine(create.get());
                subcommand.getCommandSpec().mixinStandardHelpOptions(true).version(VERSION);
                command.addSubcommand(name, subcommand);
            }
        });
        command.setCaseInsensitiveEnumValuesAllowed(true)
                .setExpandAtFiles(false) // texts begin with @
                .setAllowOptionsAsOptionParameters(true) // and with -
                .setExecutionExceptionHandler((e, line, result) -> failure(e, main.verbose));
        int code = command.execute(arguments);
        return code == 0 ? delivered() : code;
    }

    /** The exit code of a success: none where what was printed has not arrived. */
    private static int delivered() {
        try {
            Output.requireOpen();
            return 0;
        } catch (OutputException e) {
            return failure(e, false);
        }
    }

    private static int failure(Exception e, boolean verbose) {
        boolean quiet = e instanceof OutputException output && output.readerGone();
        String message = switch (e) {
            case DemitasseException expected -> String.valueOf(expected.getMessage());
            case UncheckedIOException io -> TextFile.reason(Objects.requireNonNull(io.getCause()));
            case IOException io -> TextFile.reason(io);
            case InvalidPathException path ->
                "\"" + path.getInput() + "\" is no file name here: " + path.getReason() + ".";
            default -> null;
        };
        if (!quiet) {
            Console.note("demitasse: " + (message == null ? e.toString() : message));
        }
        if (verbose || message == null) {
            e.printStackTrace(System.err);
        }
        return e instanceof UsageException || e instanceof InvalidPathException ? WRONG_USAGE : FAILED;
    }

    @Override
    public void run() {
        CommandSpec current = spec;
        if (current != null) {
            throw new CommandLine.ParameterException(current.commandLine(), "Name a command.");
        }
    }
}
