package dev.demitasse.cli;

import dev.demitasse.exception.UsageException;
import dev.demitasse.quantize.Calibration;
import dev.demitasse.quantize.ImportanceMatrix;
import dev.demitasse.quantize.OutputPath;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code demitasse imatrix}. */
@Command(
        name = "imatrix",
        description = "Runs a text through a model and writes what errors in each column of its matrices cost, for"
                + " `demitasse quantize --imatrix` (and llama-quantize).")
final class ImatrixCommand implements Callable<Integer> {

    @Mixin
    ModelSelection selection = new ModelSelection();

    @Option(
            names = {"-f", "--file"},
            required = true,
            paramLabel = "FILE",
            description = "The calibration text.")
    Path file = Path.of("");

    @Parameters(paramLabel = "OUT", description = "The file to write (GGUF).")
    Path out = Path.of("");

    @Option(names = "--overwrite", description = "Replace OUT where it exists.")
    boolean overwrite;

    @Override
    public Integer call() throws IOException {
        OutputPath.require(out, overwrite);
        for (Path input : List.of(selection.path(), file)) {
            if (Files.exists(out) && Files.isSameFile(input, out)) {
                throw new UsageException(out + " is an input; give the output another name.");
            }
        }
        int window = selection.window();
        ImportanceMatrix matrix = Calibration.collect(
                selection.path(),
                selection.options(),
                TextFile.read(file),
                String.valueOf(file.getFileName()),
                window,
                Console::showWindows);
        matrix.write(out);
        Console.note(
                out + ": " + matrix.size() + " matrices, " + matrix.chunks() + " windows of " + window + " tokens.");
        return 0;
    }
}
