package dev.demitasse.cli;

import dev.demitasse.fetch.Catalogue;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.tokenizer.Tokenizer;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code demitasse tokenize}. */
@Command(name = "tokenize", description = "Prints the tokens of a text.")
final class TokenizeCommand implements Callable<Integer> {
    @Option(
            names = {"-m", "--model"},
            paramLabel = "MODEL",
            description = "A GGUF file or a cached name.")
    String model = Catalogue.DEMO;

    @Option(names = "--special", description = "Parse special tokens in the text.")
    boolean special;

    @Option(names = "--json", description = "One JSON object.")
    boolean json;

    @Parameters(paramLabel = "TEXT", description = "The text.")
    String text = "";

    @Override
    public Integer call() {
        try (Gguf file = Gguf.open(PullCommand.cache().resolve(model, Catalogue.load()))) {
            Tokenizer tokenizer = Tokenizer.of(file.metadata());
            int[] ids = tokenizer.encode(text, special);
            if (json) {
                System.out.println(JsonLine.of(out -> {
                    out.writeFieldName("tokens");
                    out.writeArray(ids, 0, ids.length);
                }));
            } else {
                for (int id : ids) {
                    System.out.printf(
                            "%7d  %s%n",
                            id, Console.harmless(tokenizer.vocabulary().token(id)));
                }
            }
        }
        return 0;
    }
}
