package dev.demitasse.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.Session;
import dev.demitasse.chat.Message;
import dev.demitasse.exception.ContextFullException;
import dev.demitasse.exception.DemitasseException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.FinishReason;
import dev.demitasse.sampling.SamplingOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The chat on a terminal: history, multi-line input between lines of {@code """}, commands that begin with a slash.
 * Ctrl-C stops an answer and not the program; Ctrl-D ends it.
 */
final class Repl {
    private static final String FENCE = "\"\"\"";
    private static final String HELP = """
            /set NAME VALUE   temp, top-k, top-p, min-p, repeat-penalty, seed, count or drafts
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
        try (ReplConsole console = ReplConsole.open(COMMANDS)) {
            if (Console.isTerminal(0)) {
                console.println(model.deviceDescription() + ". /help lists the commands.");
            }
            for (Input input = read(console); input != null && handle(input, console); input = read(console)) {}
        }
    }

    /** What was typed; a message between fences is never a command. */
    private record Input(String text, boolean fenced) {}

    /** A line, or a message of several; null at the end. */
    private static @Nullable Input read(ReplConsole console) throws IOException {
        String line = console.readLine("> ");
        if (line == null || !line.strip().startsWith(FENCE)) {
            return line == null ? null : new Input(line, false);
        }
        StringBuilder text = new StringBuilder(line.strip().substring(FENCE.length()));
        while (!text.toString().endsWith(FENCE)) {
            String next = console.readLine(". ");
            if (next == null) {
                return new Input(text.toString(), true);
            }
            text.append(text.isEmpty() ? "" : "\n").append(next);
        }
        return new Input(text.substring(0, text.length() - FENCE.length()), true);
    }

    /** Does what a line asks for, and says what went wrong with it; false where the chat is to end. */
    private boolean handle(Input input, ReplConsole console) {
        String text = input.text.strip();
        try {
            if (text.startsWith("/") && !input.fenced) {
                boolean ofFile = text.startsWith("/save") || text.startsWith("/load"); // names may have blanks
                return command(text.split("\\s+", ofFile ? 2 : 3), console);
            }
            if (!text.isEmpty()) {
                answer(input.text, console);
            }
        } catch (OutputException e) {
            throw e;
        } catch (ContextFullException e) {
            console.println(e.getMessage() + " /clear forgets the conversation.");
        } catch (DemitasseException e) {
            console.println(String.valueOf(e.getMessage()));
        } catch (InvalidPathException e) {
            console.println("\"" + e.getInput() + "\" is no file name here: " + e.getReason() + ".");
        }
        return true;
    }

    private void answer(String message, ReplConsole console) {
        Runnable restore = console.onInterrupt(session::cancel);
        try {
            AnswerPrinter printer = new AnswerPrinter(console::print, console::printThought);
            Generation answer = session.chat(List.of(Message.user(message)), options, printer);
            printer.finish();
            console.println("");
            String ending = answer.finishReason() == FinishReason.STOP ? "" : " (" + answer.finishReason() + ")";
            console.printFigures(String.format(
                    Locale.ROOT,
                    "%d tokens, %.1f tokens/s%s%s",
                    answer.tokens().size(),
                    answer.decodeTokensPerSecond(),
                    Statistics.drafts(answer),
                    ending));
        } finally {
            restore.run();
        }
    }

    private boolean command(String[] words, ReplConsole console) {
        switch (words[0]) {
            case "/bye", "/exit", "/quit" -> {
                return false;
            }
            case "/help" -> console.println(HELP);
            case "/clear" -> session.history(opening);
            case "/show" -> show(console);
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
            default -> console.println("There is no command " + words[0] + "; /help lists them.");
        }
        return true;
    }

    private static void require(String[] words, int count, String usage) {
        if (words.length < count) {
            throw new UsageException("Write " + usage + ".");
        }
    }

    private void show(ReplConsole console) {
        SamplingOptions s = options.sampling();
        console.println(String.format(
                Locale.ROOT,
                "temp %s, top-k %d, top-p %s, min-p %s, repeat-penalty %s, seed %d",
                s.temperature(),
                s.topK(),
                s.topP(),
                s.minP(),
                s.repeatPenalty(),
                s.seed()));
        console.println(String.format(
                Locale.ROOT,
                "%s, %d layers, %d of %d positions used, %s",
                model.architecture(),
                model.layers(),
                session.length(),
                model.contextLength(),
                model.deviceDescription()));
    }

    /** The options with one of them set; the names are those of the command line. */
    static GenerationOptions set(GenerationOptions options, String name, String value) {
        SamplingOptions s = options.sampling();
        try {
            return switch (name) {
                case "count" -> options.withMaximumTokens(Integer.parseInt(value));
                case "drafts" -> options.withDrafts(Integer.parseInt(value));
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
            throw new UsageException("\"" + value + "\" is not a number.", e);
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

    /**
     * Writes one JSON object a message and line, beside the file and then in its place: what stood there stays where
     * that fails.
     *
     * @throws UsageException where it cannot be written
     */
    static void save(Path file, List<Message> messages) {
        StringBuilder lines = new StringBuilder();
        for (Message message : messages) {
            lines.append(JsonLine.of(out -> {
                        out.writeStringField("role", message.role());
                        out.writeStringField("content", message.content());
                        if (!message.thinking().isEmpty()) {
                            out.writeStringField("thinking", message.thinking());
                        }
                    }))
                    .append('\n');
        }
        Path absolute = file.toAbsolutePath();
        if (Files.isDirectory(absolute)) {
            throw new UsageException(file + " is a folder; name a file.");
        }
        try {
            if (Files.exists(absolute) && !Files.isRegularFile(absolute)) {
                Files.writeString(absolute, lines); // a device or a pipe
                return;
            }
            Path target = Files.exists(absolute) ? absolute.toRealPath() : absolute; // what a link points to
            Path folder = target.getParent();
            Path beside = folder == null
                    ? Files.createTempFile("demitasse", ".jsonl")
                    : Files.createTempFile(folder, ".demitasse", ".jsonl");
            try {
                Files.writeString(beside, lines);
                Files.move(beside, target, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(beside);
            }
        } catch (IOException e) {
            throw new UsageException("The conversation is not saved. " + TextFile.reason(e, file), e);
        }
    }

    /**
     * The conversation of a file, whole.
     *
     * @throws UsageException where it holds none
     */
    static List<Message> load(Path file) {
        List<Message> messages = new ArrayList<>();
        int number = 0;
        for (String line : TextFile.read(file).lines().toList()) {
            number++;
            if (line.isBlank()) {
                continue;
            }
            try (JsonParser parser = new JsonFactory().createParser(line)) {
                messages.add(message(parser));
            } catch (IOException e) {
                throw new UsageException(
                        file + " holds no conversation: line " + number
                                + " is no JSON object with the texts \"role\" and \"content\".",
                        e);
            }
        }
        if (messages.isEmpty()) {
            throw new UsageException(file + " holds no conversation: it is empty.");
        }
        return messages;
    }

    private static Message message(JsonParser parser) throws IOException {
        String role = null;
        String content = null;
        String thinking = "";
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw new IOException("no object");
        }
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String field = parser.currentName();
            boolean text = parser.nextToken() == JsonToken.VALUE_STRING;
            if (text && field.equals("role")) {
                role = parser.getText();
            } else if (text && field.equals("content")) {
                content = parser.getText();
            } else if (text && field.equals("thinking")) {
                thinking = parser.getText();
            } else {
                parser.skipChildren();
            }
        }
        if (role == null || content == null || parser.currentToken() != JsonToken.END_OBJECT) {
            throw new IOException("role or content is missing");
        }
        return new Message(role, content, thinking, List.of(), null, null);
    }
}
