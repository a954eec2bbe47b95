package dev.demitasse.cli;

import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Grammar;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.Session;
import dev.demitasse.chat.Message;
import dev.demitasse.fetch.Catalogue;
import dev.demitasse.fetch.CatalogueEntry;
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

    /** Values as templates know them: true and false, integers, else text. */
    private Map<String, Object> variables() {
        Map<String, Object> variables = new LinkedHashMap<>();
        templateVariables.forEach((name, value) -> variables.put(
                name,
                value.equals("true") || value.equals("false")
                        ? (Object) Boolean.valueOf(value)
                        : value.matches("-?[0-9]{1,18}") ? (Object) Long.valueOf(value) : value));
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
        try (Model model = Model.load(path, modelOptions);
                Session session = model.newSession()) {
            String behavior = system == null ? catalogueSystem() : system;
            List<Message> opening = behavior == null ? List.of() : List.of(Message.system(behavior));
            session.history(opening);
            GenerationOptions options = GenerationOptions.DEFAULT
                    .withSampling(sampling.options(model.sampling()))
                    .withDrafts(sampling.drafts)
                    .withMaximumTokens(count)
                    .withGrammar(grammar);
            String once = prompt;
            if (once == null) {
                new Repl(model, session, options, opening).run();
            } else {
                String message = StandardInput.after(once, "\n\n", input);
                AnswerPrinter printer = new AnswerPrinter(Output::print, Console::thought);
                Generation answer = session.chat(List.of(Message.user(message)), options, printer);
                printer.finish();
                System.out.println();
                Statistics.print(model, answer);
            }
        }
        return 0;
    }

    private @Nullable String catalogueSystem() {
        CatalogueEntry entry = Catalogue.load().find(selection.model);
        return entry == null ? null : entry.system();
    }
}
