package dev.demitasse.cli;

import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Grammar;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.chat.Message;
import dev.demitasse.exception.UsageException;
import dev.demitasse.fetch.Catalogue;
import dev.demitasse.fetch.CatalogueEntry;
import dev.demitasse.fetch.ModelCache;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code demitasse chat}. */
@Command(name = "chat", description = "Chats with a model; with -p one answer on standard output.")
final class ChatCommand implements Callable<Integer> {
    @Mixin
    ModelSelection selection = new ModelSelection();

    @Mixin
    SamplingSelection sampling = new SamplingSelection();

    @Mixin
    GrammarSelection form = new GrammarSelection();

    @Option(
            names = {"-p", "--prompt"},
            paramLabel = "TEXT",
            description = "Answer this, with what is piped in behind it, and end.")
    @Nullable
    String prompt;

    @Option(names = "--system", paramLabel = "TEXT", description = "How the model shall behave.")
    @Nullable
    String system;

    @Option(
            names = {"-n", "--count"},
            paramLabel = "N",
            description = "Tokens of an answer at most.")
    int count = Integer.MAX_VALUE;

    @Option(
            names = "--template",
            paramLabel = "FILE",
            description = "A chat template in Jinja, instead of the model's own.")
    @Nullable
    Path template;

    @Option(
            names = "--template-var",
            paramLabel = "NAME=VALUE",
            description =
                    "A variable of the chat template, enable_thinking=false for example; may be given several times.")
    Map<String, String> templateVariables = Map.of();

    @Option(
            names = "--session",
            paramLabel = "FILE",
            description = "Go on with the conversation in FILE, if it is there, and keep it there.")
    @Nullable
    Path file;

    private Map<String, Object> variables() {
        Map<String, Object> variables = new LinkedHashMap<>();
        templateVariables.forEach((name, value) -> variables.put(name, ModelOptions.templateValue(value)));
        return variables;
    }

    @Override
    public Integer call() throws Exception {
        if (selection.model.equals(Catalogue.DEMO)) {
            PullCommand.pull(Catalogue.DEMO, PullCommand.cache());
        }
        StandardInput input = prompt == null ? null : StandardInput.piped();
        Grammar grammar = form.grammar(); // refused before a model is loaded
        Path path = selection.path();
        ModelOptions modelOptions = selection.options(sampling.drafts).withTemplateVariables(variables());
        if (template != null) {
            modelOptions = modelOptions.withChatTemplate(TextFile.read(template));
        }
        boolean goesOn = file != null && Files.exists(file);
        if (goesOn && system != null) {
            throw new UsageException("--system begins a conversation, and " + file + " has one: leave out --system, or"
                    + " name another file.");
        }
        try (Model model = Model.load(path, modelOptions);
                Session session = file != null && goesOn ? model.restoreSession(file) : model.newSession()) {
            List<Message> opening = goesOn ? systemMessages(session.history()) : opening();
            if (!goesOn) {
                session.history(opening);
            }
            GenerationOptions options = GenerationOptions.DEFAULT
                    .withSampling(sampling.options(model.sampling()))
                    .withDrafts(sampling.drafts)
                    .withMaximumTokens(count)
                    .withGrammar(grammar);
            if (prompt == null) {
                new Repl(model, session, options, opening).run();
            } else {
                answer(model, session, options, StandardInput.after(prompt, "\n\n", input));
            }
            if (file != null) {
                session.save(file);
            }
        }
        return 0;
    }

    private static void answer(Model model, Session session, GenerationOptions options, String message) {
        AnswerPrinter printer = new AnswerPrinter(Output::print, Console::thought);
        Generation answer = session.chat(List.of(Message.user(message)), options, printer);
        printer.finish();
        System.out.println();
        Statistics.print(model, answer);
    }

    private static List<Message> systemMessages(List<Message> history) {
        return history.stream()
                .takeWhile(message -> message.role().equals("system"))
                .toList();
    }

    private List<Message> opening() {
        String behavior = system == null ? catalogueSystem() : system;
        return behavior == null ? List.of() : List.of(Message.system(behavior));
    }

    private @Nullable String catalogueSystem() {
        CatalogueEntry entry = Catalogue.load().find(selection.model);
        boolean file = ModelCache.file(selection.model) != null; // which goes before the catalogue
        return entry == null || file ? null : entry.system();
    }
}
