package dev.demitasse.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import dev.demitasse.Generation;
import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.Session;
import dev.demitasse.exception.UsageException;
import dev.demitasse.sampling.Logprobs;
import dev.demitasse.sampling.SamplingOptions;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code demitasse generate}. */
@Command(name = "generate", description = "Continues a text as it stands, or tokens.")
final class GenerateCommand implements Callable<Integer> {
    @Mixin
    ModelSelection selection = new ModelSelection();

    @Mixin
    SamplingSelection sampling = new SamplingSelection();

    @Mixin
    GrammarSelection form = new GrammarSelection();

    @Option(
            names = {"-p", "--prompt"},
            paramLabel = "TEXT",
            description = "The text to continue; what is piped in goes on behind it.")
    @Nullable
    String prompt;

    @Option(names = "--tokens", split = ",", paramLabel = "ID", description = "Tokens to continue, instead of a text.")
    @Nullable
    List<Integer> tokens;

    @Option(
            names = {"-n", "--count"},
            paramLabel = "N",
            description = "Tokens to generate at most (default: ${DEFAULT-VALUE}).")
    int count = 128;

    @Option(
            names = "--stop",
            paramLabel = "TEXT",
            description = "A text that ends the answer; may be given several times.")
    List<String> stop = List.of();

    @Option(
            names = "--logprobs",
            paramLabel = "K",
            description = "Report the K most likely tokens of each step (with --json).")
    int logprobs;

    @Option(names = "--raw", description = "Go on past the model's end token.")
    boolean raw;

    @Option(names = "--special", description = "Parse special tokens in the prompt.")
    boolean special;

    @Option(names = "--json", description = "One JSON object.")
    boolean json;

    @Override
    public Integer call() {
        StandardInput input = tokens == null ? StandardInput.piped() : null;
        if (prompt != null && tokens != null || prompt == null && tokens == null && input == null) {
            throw new UsageException("Give either -p TEXT, or a text on standard input, or --tokens 1,2,3.");
        }
        SamplingOptions asked = sampling.options(SamplingOptions.DEFAULT); // refused before a model is loaded
        GenerationOptions options = GenerationOptions.builder()
                .maximumTokens(count)
                .sampling(asked)
                .stop(stop)
                .logprobs(logprobs)
                .drafts(sampling.drafts)
                .ignoreEnd(raw)
                .grammar(form.grammar())
                .build();
        try (Model model = Model.load(selection.path(), selection.options(sampling.drafts));
                Session session = model.newSession()) {
            Consumer<String> listener = json ? text -> {} : Output::print;
            Generation generation = session.generate(
                    ids(model, input), options.withSampling(sampling.options(model.sampling())), listener);
            if (json) {
                System.out.println(JsonLine.of(out -> write(out, generation)));
            } else {
                System.out.println();
                Statistics.print(model, generation);
            }
        }
        return 0;
    }

    private int[] ids(Model model, @Nullable StandardInput input) {
        List<Integer> given = tokens;
        if (given == null) {
            String text = StandardInput.after(prompt == null ? "" : prompt, "", input);
            return model.tokenizer().encodePrompt(text, special);
        }
        return given.stream().mapToInt(Integer::intValue).toArray();
    }

    private static void write(JsonGenerator out, Generation generation) throws IOException {
        out.writeFieldName("promptTokens");
        writeIds(out, generation.promptTokens());
        out.writeFieldName("tokens");
        writeIds(out, generation.tokens());
        out.writeStringField("text", generation.text());
        out.writeNumberField("passes", generation.passes());
        out.writeStringField("finishReason", generation.finishReason().toString());
        out.writeArrayFieldStart("topLogprobs");
        for (List<Logprobs.Entry> step : generation.topLogprobs()) {
            out.writeStartArray();
            for (Logprobs.Entry entry : step) {
                out.writeStartObject();
                out.writeNumberField("id", entry.id());
                out.writeNumberField("logprob", entry.logprob());
                out.writeEndObject();
            }
            out.writeEndArray();
        }
        out.writeEndArray();
    }

    private static void writeIds(JsonGenerator out, List<Integer> ids) throws IOException {
        out.writeStartArray();
        for (int id : ids) {
            out.writeNumber(id);
        }
        out.writeEndArray();
    }
}
