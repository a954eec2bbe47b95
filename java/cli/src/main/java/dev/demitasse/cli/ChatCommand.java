package dev.demitasse.cli;

import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Message;
import dev.demitasse.Model;
import dev.demitasse.Session;
import java.nio.file.Path;
import java.util.List;
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

    @Option(
            names = {"-p", "--prompt"},
            paramLabel = "TEXT",
            description = "Answer this and end.")
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

    @Override
    public Integer call() throws Exception {
        if (selection.model.equals(Catalogue.DEMO)) {
            PullCommand.pull(Catalogue.DEMO, ModelCache.standard());
        }
        Path path = selection.path();
        try (Model model = Model.load(path, selection.options());
                Session session = model.newSession()) {
            String behaviour = system == null ? catalogueSystem() : system;
            List<Message> opening = behaviour == null ? List.of() : List.of(Message.system(behaviour));
            session.history(opening);
            GenerationOptions options =
                    GenerationOptions.DEFAULT.withSampling(sampling.options()).withMaximumTokens(count);
            String once = prompt;
            if (once == null) {
                new Repl(model, session, options, opening).run();
            } else {
                Generation answer = session.chat(once, options, text -> {
                    System.out.print(text);
                    System.out.flush();
                });
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
