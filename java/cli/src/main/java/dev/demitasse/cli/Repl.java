package dev.demitasse.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.demitasse.DemitasseException;
import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Message;
import dev.demitasse.Model;
import dev.demitasse.Session;
import dev.demitasse.UsageException;
import dev.demitasse.runtime.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.UserInterruptException;
import org.jline.reader.impl.completer.StringsCompleter;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;

/**
 * The chat on a terminal: history, multi-line input between lines of {@code """}, commands that begin with a slash. Ctrl-C stops
 * an answer and not the program; Ctrl-D ends it.
 */
final class Repl {
    private static final String FENCE = "\"\"\"";
    private static final String HELP = """
            /set NAME VALUE   temp, top-k, top-p, min-p, repeat-penalty, seed or count
            /show             the settings and the model
            /clear            forget the conversation
            /save FILE        write the conversation
            /load FILE        go on with a conversation
            /help             this
            /bye              end
            \"""               begin and end of a message of several lines""";
    private static final List<String> COMMANDS = List.of("/set", "/show", "/clear", "/save", "/load", "/help", "/bye");

    private final Model model;
    private final Session session;
    private final List<Message> opening;
    private GenerationOptions options;

    Repl(Model model, Session session, GenerationOptions options, List<Message> opening) {
        this.model = model;
        this.session = session;
        this.options = options;
        this.opening = opening;
    }

    void run() throws IOException {
        Path history = ModelCache.base().resolve("history");
        Files.createDirectories(ModelCache.base());
        try (Terminal terminal =
                TerminalBuilder.builder().system(true).dumb(true).build()) {
            LineReader reader = LineReaderBuilder.builder()
                    .terminal(terminal)
                    .appName("demitasse")
                    .completer(new StringsCompleter(COMMANDS))
                    .variable(LineReader.HISTORY_FILE, history)
                    .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true)
                    .build();
            terminal.writer().println(model.deviceDescription() + ". /help lists the commands.");
            terminal.writer().flush();
            boolean open = true;
            while (open) {
                try {
                    open = handle(read(reader), terminal);
                } catch (UserInterruptException e) {
                    terminal.writer().println("(Ctrl-D or /bye ends)");
                } catch (EndOfFileException e) {
                    open = false;
                } catch (DemitasseException e) {
                    terminal.writer().println(e.getMessage());
                }
                terminal.writer().flush();
            }
        }
    }

    private static String read(LineReader reader) {
        String line = reader.readLine("> ");
        if (!line.strip().startsWith(FENCE)) {
            return line;
        }
        StringBuilder text = new StringBuilder(line.strip().substring(FENCE.length()));
        while (!text.toString().endsWith(FENCE)) {
            text.append(text.isEmpty() ? "" : "\n").append(reader.readLine(". "));
        }
        return text.substring(0, text.length() - FENCE.length());
    }

    /** Does what a line asks for; false where that is to end. */
    private boolean handle(String line, Terminal terminal) throws IOException {
        String text = line.strip();
        if (text.startsWith("/")) {
            String[] words = text.split("\\s+", 3);
            return command(words, terminal);
        }
        if (!text.isEmpty()) {
            answer(line, terminal);
        }
        return true;
    }

    private void answer(String message, Terminal terminal) {
        Terminal.SignalHandler before = terminal.handle(Terminal.Signal.INT, signal -> session.cancel());
        try {
            Generation answer = session.chat(message, options, text -> {
                terminal.writer().print(text);
                terminal.flush();
            });
            terminal.writer().println();
            String ending = answer.finishReason() == FinishReason.STOP ? "" : " (" + answer.finishReason() + ")";
            terminal.writer()
                    .println(Console.dim(String.format(
                            Locale.ROOT,
                            "%d tokens, %.1f tokens/s%s",
                            answer.tokens().size(),
                            answer.decodeTokensPerSecond(),
                            ending)));
        } finally {
            terminal.handle(Terminal.Signal.INT, before);
        }
    }

    private boolean command(String[] words, Terminal terminal) throws IOException {
        switch (words[0]) {
            case "/bye", "/exit", "/quit" -> {
                return false;
            }
            case "/help" -> terminal.writer().println(HELP);
            case "/clear" -> session.history(opening);
            case "/show" -> show(terminal);
            case "/set" -> {
                require(words, 3, "/set NAME VALUE");
                options = set(options, words[1], words[2]);
            }
            case "/save" -> {
                require(words, 2, "/save FILE");
                save(Path.of(words[1]), session.history());
            }
            case "/load" -> {
                require(words, 2, "/load FILE");
                session.history(load(Path.of(words[1])));
            }
            default -> terminal.writer().println("There is no command " + words[0] + "; /help lists them.");
        }
        return true;
    }

    private static void require(String[] words, int count, String usage) {
        if (words.length < count) {
            throw new UsageException("Write " + usage + ".");
        }
    }

    private void show(Terminal terminal) {
        SamplingOptions s = options.sampling();
        terminal.writer()
                .printf(
                        Locale.ROOT,
                        "temp %s, top-k %d, top-p %s, min-p %s, repeat-penalty %s, seed %d%n",
                        s.temperature(),
                        s.topK(),
                        s.topP(),
                        s.minP(),
                        s.repeatPenalty(),
                        s.seed());
        terminal.writer()
                .printf(
                        Locale.ROOT,
                        "%s, %d layers, %d of %d positions used, %s%n",
                        model.config().architecture().key(),
                        model.config().layers(),
                        session.length(),
                        model.contextLength(),
                        model.deviceDescription());
    }

    /** The options with one of them set; the names are those of the command line. */
    static GenerationOptions set(GenerationOptions options, String name, String value) {
        SamplingOptions s = options.sampling();
        try {
            return switch (name) {
                case "count" -> options.withMaximumTokens(Integer.parseInt(value));
                case "temp" -> options.withSampling(s.withTemperature(Float.parseFloat(value)));
                case "seed" -> options.withSampling(s.withSeed(Long.parseLong(value)));
                case "top-k" ->
                    options.withSampling(sampling(s, Integer.parseInt(value), s.topP(), s.minP(), s.repeatPenalty()));
                case "top-p" ->
                    options.withSampling(sampling(s, s.topK(), Float.parseFloat(value), s.minP(), s.repeatPenalty()));
                case "min-p" ->
                    options.withSampling(sampling(s, s.topK(), s.topP(), Float.parseFloat(value), s.repeatPenalty()));
                case "repeat-penalty" ->
                    options.withSampling(sampling(s, s.topK(), s.topP(), s.minP(), Float.parseFloat(value)));
                default -> throw new UsageException("There is no setting \"" + name + "\"; /help lists them.");
            };
        } catch (NumberFormatException e) {
            throw new UsageException("\"" + value + "\" is no number.", e);
        }
    }

    private static SamplingOptions sampling(SamplingOptions s, int topK, float topP, float minP, float repeat) {
        return new SamplingOptions(
                s.temperature(),
                topK,
                topP,
                minP,
                repeat,
                s.frequencyPenalty(),
                s.presencePenalty(),
                s.penaltyWindow(),
                s.seed());
    }

    /** One JSON object a message and line. */
    static void save(Path file, List<Message> messages) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (Message message : messages) {
            lines.append(JsonLine.of(out -> {
                        out.writeStringField("role", message.role());
                        out.writeStringField("content", message.content());
                    }))
                    .append('\n');
        }
        Files.writeString(file, lines);
    }

    static List<Message> load(Path file) throws IOException {
        if (!Files.isReadable(file)) {
            throw new UsageException("There is no file " + file + ".");
        }
        List<Message> messages = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            try (JsonParser parser = new JsonFactory().createParser(line)) {
                String role = "";
                String content = "";
                parser.nextToken();
                while (parser.nextToken() == JsonToken.FIELD_NAME) {
                    String field = parser.currentName();
                    parser.nextToken();
                    role = field.equals("role") ? parser.getText() : role;
                    content = field.equals("content") ? parser.getText() : content;
                }
                messages.add(new Message(role, content));
            } catch (IOException e) {
                throw new UsageException(file + " holds no conversation: " + e.getMessage(), e);
            }
        }
        return messages;
    }
}
