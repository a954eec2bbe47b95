package dev.demitasse.quantize.source;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Metadata;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.quant.TensorType;
import dev.demitasse.safetensors.ElementType;
import dev.demitasse.safetensors.Safetensors;
import dev.demitasse.safetensors.SafetensorsTensor;
import java.lang.System.Logger;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A checkpoint as Hugging Face's transformers writes it: {@code config.json}, {@code tokenizer.json} and safetensors,
 * plain or quantized.
 */
final class HuggingFaceSource implements ModelSource {
    private static final Logger LOGGER = System.getLogger("dev.demitasse.quantize");
    private static final String INDEX = "model.safetensors.index.json";
    private static final String SINGLE = "model.safetensors";
    /** What stands before names of the text model. */
    private static final List<String> PREFIXES =
            List.of("model.language_model.", "language_model.model.", "language_model.", "model.");

    /** Parts of multimodal checkpoints that text does without. */
    private static final List<String> OTHER_SENSES = List.of(
            "vision_tower.",
            "multi_modal_projector.",
            "model.vision_tower.",
            "model.vision_model.",
            "model.multi_modal_projector.");

    /** Biases that the forward pass adds. */
    private static final List<String> BIASES = List.of("attn_q.", "attn_k.", "attn_v.", "attn_output.");

    /** One file of several, which stands for all of them. */
    private static final Pattern SHARD = Pattern.compile(".*-\\d+-of-\\d+\\.safetensors");

    private final Safetensors file;
    private final List<Path> files = new ArrayList<>();
    private final CheckpointArchitecture architecture;
    private final CheckpointConfig config;
    private final Metadata metadata;
    private final List<Tensor> tensors = new ArrayList<>();

    /**
     * Opens a checkpoint.
     *
     * @param path its folder, or a safetensors file or index in it
     */
    HuggingFaceSource(Path path) {
        boolean folderGiven = Files.isDirectory(path);
        Path folder = folderGiven ? path : path.toAbsolutePath().getParent();
        boolean part = SHARD.matcher(String.valueOf(path.getFileName())).matches();
        Path weights = folder != null && (folderGiven || part) ? weights(folder) : path;
        if (folder == null || !Files.isRegularFile(folder.resolve("config.json"))) {
            throw new UsageException("There is no config.json beside " + weights
                    + "; a checkpoint is its folder: config.json, tokenizer.json and safetensors.");
        }
        Json whole = Json.read(folder.resolve("config.json"));
        architecture = CheckpointArchitecture.of(whole);
        Json text = whole.has("text_config") ? whole.object("text_config") : whole;
        Path name = folder.toAbsolutePath().normalize().getFileName();
        config = new CheckpointConfig(text, architecture, name == null ? "model" : name.toString());
        file = Safetensors.open(weights);
        try {
            files.add(weights);
            files.addAll(file.files());
            files.add(folder.resolve("config.json"));
            files.add(folder.resolve("tokenizer.json"));
            Json quantization = whole.has("quantization_config")
                    ? whole.object("quantization_config")
                    : text.object("quantization_config");
            read(new QuantizedRows(file, quantization), whole, text);
            requireWhole();
            Tensor embedding = tensors.getFirst();
            config.vocabulary((int) embedding.rows());
            Map<String, MetadataValue> values = new LinkedHashMap<>(config.metadata());
            values.putAll(new CheckpointTokenizer(folder, (int) embedding.rows()).metadata());
            metadata = new Metadata(folder.toString(), values);
        } catch (RuntimeException | Error e) {
            file.close();
            throw e;
        }
    }

    private static Path weights(Path folder) {
        for (String name : List.of(INDEX, SINGLE)) {
            if (Files.isRegularFile(folder.resolve(name))) {
                return folder.resolve(name);
            }
        }
        throw new UsageException(folder + " holds neither " + SINGLE + " nor " + INDEX
                + (Files.exists(folder.resolve("pytorch_model.bin"))
                        ? "; a pytorch_model.bin is a program, and is not read: convert it to safetensors."
                        : "; a checkpoint has one of them."));
    }

    private void read(QuantizedRows quantized, Json whole, Json text) {
        boolean tied = whole.bool("tie_word_embeddings", text.bool("tie_word_embeddings", isTied()));
        Set<String> matrices = new LinkedHashSet<>();
        Set<String> leftOut = new TreeSet<>();
        for (SafetensorsTensor tensor : file.tensors()) {
            String name = tensor.name();
            String matrix = QuantizedRows.matrix(name);
            Optional<String> sense =
                    OTHER_SENSES.stream().filter(name::startsWith).findFirst();
            if (sense.isPresent()) {
                leftOut.add(sense.get());
            } else if (!name.endsWith(".rotary_emb.inv_freq")) { // the configuration gives those as well
                matrices.add(matrix == null ? name : matrix + ".weight");
            }
        }
        for (String name : matrices) {
            boolean head = name.equals("lm_head.weight") || name.endsWith(".lm_head.weight");
            if (!(head && tied)) {
                add(name, head ? "output.weight" : ggufName(name), quantized);
            }
        }
        config.factors().forEach((name, values) -> tensors.add(new Stored(name, new Rows.Values(values), true, null)));
        tensors.sort(Comparator.comparingInt(HuggingFaceSource::order));
        if (!leftOut.isEmpty()) {
            LOGGER.log(Logger.Level.WARNING, "Text alone is taken over; left out: " + String.join(", ", leftOut));
        }
    }

    private boolean isTied() {
        return file.tensors().stream()
                .noneMatch(tensor -> tensor.name().endsWith("lm_head.weight")
                        || tensor.name().startsWith("lm_head."));
    }

    /** The embedding first, then layers in order, then the rest. */
    private static int order(Tensor tensor) {
        String name = tensor.name();
        if (!name.startsWith("blk.")) {
            return name.startsWith("token_embd") ? -1 : Integer.MAX_VALUE;
        }
        return Integer.parseInt(name.substring(4, name.indexOf('.', 4)));
    }

    private String ggufName(String name) {
        String inner = name;
        for (String prefix : PREFIXES) {
            if (name.startsWith(prefix)) {
                inner = name.substring(prefix.length());
                break;
            }
        }
        String known = architecture.ggufName(inner);
        if (known == null) {
            throw new UnsupportedModelException("Tensor \"" + name + "\" is not one that models of this architecture"
                    + " have; without it the model would compute something else.");
        }
        return known;
    }

    private void add(String name, String gguf, QuantizedRows quantized) {
        int end = name.lastIndexOf('.');
        Rows rows = name.endsWith(".weight") ? quantized.read(name.substring(0, end)) : null;
        SafetensorsTensor plain = file.tensor(name);
        boolean decoded = rows != null;
        if (rows == null) {
            if (plain == null) {
                throw new ModelFormatException("Tensor \"" + name + "\" is missing; other parts of it are there.");
            }
            switch (plain.type()) {
                case F64, F32, F16, BF16 -> rows = Rows.Numbers.of(plain);
                default ->
                    throw new UnsupportedModelException("Tensor \"" + name + "\" holds " + plain.type()
                            + ", and the configuration names no quantization that says what that means.");
            }
        }
        if (gguf.endsWith(".bias") && BIASES.stream().noneMatch(gguf::contains)) {
            requireZero(name, rows); // AutoGPTQ writes one for every matrix
            return;
        }
        boolean vector = !decoded && plain != null && plain.shape().size() == 1;
        boolean turned = architecture.interleaved() && (gguf.contains(".attn_q.") || gguf.contains(".attn_k."));
        if (turned) {
            long elements = vector ? rows.columns() : rows.count();
            if (elements % config.headDim() != 0) {
                throw new ModelFormatException("Tensor \"" + name + "\" has " + elements + " rows, which are no heads"
                        + " of " + config.headDim() + ".");
            }
            rows = vector ? Rows.interleavedVector(rows, config.headDim()) : Rows.interleaved(rows, config.headDim());
        }
        if (architecture.normsPlusOne() && gguf.endsWith("norm.weight")) {
            rows = Rows.plusOne(rows);
        }
        tensors.add(new Stored(gguf, rows, vector, plain == null || decoded ? null : plain.type()));
    }

    private static void requireZero(String name, Rows rows) {
        float[] values = new float[rows.columns()];
        rows.read(0, values);
        for (float value : values) {
            if (value != 0) {
                throw new UnsupportedModelException("\"" + name + "\" is not zero; models of this architecture are"
                        + " read without biases there.");
            }
        }
    }

    /** Every layer has what the first one has, in the same shapes, and nothing is missing beside them. */
    private void requireWhole() {
        Map<String, long[]> given = new LinkedHashMap<>();
        tensors.forEach(tensor -> given.put(tensor.name(), tensor.dimensions()));
        requireColumns(given, "token_embd.weight", config.hidden());
        requireColumns(given, "output_norm.weight", config.hidden());
        requireColumns(given, "blk.0.attn_norm.weight", config.hidden());
        for (Tensor tensor : tensors) {
            if (tensor.name().startsWith("blk.0.")) {
                for (int layer = 1; layer < config.layers(); layer++) {
                    String name = "blk." + layer + tensor.name().substring("blk.0".length());
                    if (!Arrays.equals(require(given, name), tensor.dimensions())) {
                        throw new ModelFormatException("\"" + name + "\" has another shape than in the first layer.");
                    }
                }
            }
        }
    }

    private static void requireColumns(Map<String, long[]> given, String name, int columns) {
        if (require(given, name)[0] != columns) {
            throw new ModelFormatException("\"" + name + "\" has rows of " + require(given, name)[0]
                    + " elements; the configuration says " + columns + ".");
        }
    }

    private static long[] require(Map<String, long[]> given, String name) {
        long[] dimensions = given.get(name);
        if (dimensions == null) {
            throw new ModelFormatException("The checkpoint has no \"" + name + "\" (as GGUF files call it); it is not"
                    + " complete, or the configuration is another model's.");
        }
        return dimensions;
    }

    /**
     * A tensor.
     *
     * @param stored how the checkpoint holds its elements; null where they are computed
     */
    private record Stored(
            String name,
            Rows values,
            boolean vector,
            @Nullable ElementType stored) implements Tensor {
        @Override
        public TensorType type() {
            if (vector || stored == ElementType.F32 || stored == ElementType.F64) {
                return TensorType.F32;
            }
            return stored == ElementType.BF16 ? TensorType.BF16 : TensorType.F16;
        }

        @Override
        public long[] dimensions() {
            return vector ? new long[] {values.columns()} : new long[] {values.columns(), values.count()};
        }

        @Override
        public void read(long row, float[] out) {
            values.read(row, out);
        }

        @Override
        public @Nullable MemorySegment bytes() {
            return null;
        }
    }

    @Override
    public Metadata metadata() {
        return metadata;
    }

    @Override
    public List<Tensor> tensors() {
        return tensors;
    }

    @Override
    public List<Path> files() {
        return files;
    }

    @Override
    public void close() {
        file.close();
    }
}
