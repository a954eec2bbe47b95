package dev.demitasse.cli;

import dev.demitasse.Devices;
import dev.demitasse.DraftBlock;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.device.ActivationType;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.fetch.Catalogue;
import dev.demitasse.kv.KvRotation;
import dev.demitasse.kv.KvType;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that choose a model and a device; the same in every command. */
final class ModelSelection {
    private static final int DEFAULT_WINDOW = 512;

    @Option(
            names = {"-m", "--model"},
            paramLabel = "MODEL",
            description = "A GGUF file or a cached name (default: ${DEFAULT-VALUE}).")
    String model = Catalogue.DEMO;

    @Option(
            names = "--backend",
            paramLabel = "NAME",
            description = "auto, or a name that `demitasse devices` lists (default: auto).")
    String backend = Devices.AUTO;

    @Option(names = "--device", paramLabel = "N", description = "Which of several devices of a backend (default: 0).")
    int device;

    @Option(
            names = {"-t", "--threads"},
            paramLabel = "N",
            description = "Threads of a CPU device (default: physical cores).")
    int threads;

    @Option(
            names = "--isa",
            paramLabel = "NAME",
            description = "Instruction set of the native backend (default: the best of this machine).")
    @Nullable
    String instructionSet;

    @Option(
            names = "--batch-invariant",
            description = "Results that do not depend on the batch; CPU devices always do so.")
    boolean batchInvariant;

    @Option(
            names = "--kv-type",
            paramLabel = "TYPE",
            description = "How the cache stores numbers: ${COMPLETION-CANDIDATES} (default: f16).")
    KvType kvType = KvType.F16;

    @Option(
            names = "--kv-rotation",
            paramLabel = "WHEN",
            description = "Whether keys and values are stored rotated by a Hadamard matrix, which costs little and"
                    + " helps few bits: ${COMPLETION-CANDIDATES} (default: auto, with 8 bits and fewer).")
    KvRotation kvRotation = KvRotation.AUTO;

    @Option(
            names = {"-c", "--ctx"},
            paramLabel = "N",
            description = "Positions of a session (default: 4096, or the model's).")
    int context;

    @Option(
            names = "--draft-block",
            paramLabel = "WHEN",
            description =
                    "Whether the model's own block that drafts tokens is loaded: ${COMPLETION-CANDIDATES} (default:"
                            + " auto, on a processor, and where --drafts asks for some).")
    DraftBlock draftBlock = DraftBlock.AUTO;

    /** How integer weights meet activations; null for the device's own way. */
    @Nullable
    ActivationType activations;

    /** Tokens of a window of a text that is scored: the context that was asked for, or llama-perplexity's 512. */
    int window() {
        return context == 0 ? DEFAULT_WINDOW : context;
    }

    /** The model's file. */
    Path path() {
        return PullCommand.cache().resolve(model, Catalogue.load());
    }

    /** The cache's type, for people, and whether it is rotated. */
    String cache() {
        return kvType.toString().toLowerCase(Locale.ROOT) + (kvRotation.rotates(kvType) ? " rotated" : "");
    }

    /** The options for loading it for one session that generates. */
    ModelOptions options(int drafts) {
        boolean asked = draftBlock == DraftBlock.AUTO && drafts > 0;
        return options().withDraftBlock(asked ? DraftBlock.ON : draftBlock);
    }

    /** The options for loading it for one session; without a draft block unless it is asked for. */
    ModelOptions options() {
        return ModelOptions.DEFAULT
                .withBackend(backend)
                .withDevice(new DeviceOptions(threads, device, activations, instructionSet, batchInvariant))
                .withContextLength(context)
                .withKvType(kvType)
                .withKvRotation(kvRotation)
                .withDraftBlock(draftBlock == DraftBlock.AUTO ? DraftBlock.OFF : draftBlock)
                .withSequences(1);
    }

    /** The same device and context for another model. */
    ModelSelection forModel(String other) {
        ModelSelection selection = new ModelSelection();
        selection.model = other;
        selection.backend = backend;
        selection.device = device;
        selection.threads = threads;
        selection.instructionSet = instructionSet;
        selection.batchInvariant = batchInvariant;
        selection.context = context;
        selection.draftBlock = draftBlock;
        selection.activations = activations;
        return selection;
    }

    Model load() {
        return Model.load(path(), options());
    }
}
