package dev.demitasse.model;

import dev.demitasse.device.ActivationType;
import dev.demitasse.device.Buffer;
import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.WeightGroup;
import dev.demitasse.embedding.Pooling;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.LongConsumer;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The weights of a model on a device. */
public final class Weights implements AutoCloseable {
    /**
     * One transformer block. Null where the architecture has no such thing.
     *
     * @param mixerNorm before the mixer
     * @param postMixerNorm after the mixer, before the residual
     * @param mixerStreamNorm of the residual stream, after what the mixer returned is added
     * @param postFeedForwardNorm after the feed-forward layer, before the residual
     * @param streamNorm of the residual stream, after what the feed-forward layer returned is added
     * @param input what the layer gets of each token beside the residual stream
     * @param outputScale multiplies the residual stream at the end
     */
    record Block(
            @Nullable Norm mixerNorm,
            @Nullable Mixer mixer,
            @Nullable Norm postMixerNorm,
            @Nullable Norm mixerStreamNorm,
            @Nullable Norm feedForwardNorm,
            @Nullable FeedForward feedForward,
            @Nullable Norm postFeedForwardNorm,
            @Nullable Norm streamNorm,
            InputLayer.@Nullable Parts input,
            float outputScale) {}

    /** Norms between the parts of a block. */
    private record BlockNorms(
            @Nullable Norm mixer,
            @Nullable Norm postMixer,
            @Nullable Norm mixerStream,
            @Nullable Norm feedForward,
            @Nullable Norm postFeedForward,
            @Nullable Norm stream) {}

    /**
     * What is added to the embedding of tokens, and the norm of the sum. Null where the model has no such thing.
     *
     * @param positions a row a position
     * @param types a row a kind of text: the only or first one of an input, and the second one
     */
    record Additions(
            @Nullable LinearWeight positions,
            @Nullable LinearWeight types,
            @Nullable Norm norm) {}

    /** Whether a model's draft block is loaded, where its file has one. */
    public enum Drafts {
        /** It is left out. */
        NONE,
        /** It is left out, and that is logged, where it cannot be read. */
        WHERE_SOUND,
        /** A file whose block cannot be read is refused. */
        REQUIRED
    }

    private static final System.Logger LOG = System.getLogger(Weights.class.getName());

    /** The metadata key of files whose activations are to be rounded in a way of their own. */
    public static final String ACTIVATIONS = "demitasse.activations";

    /** Tensors that a refusal names. */
    private static final int NAMED = 5;
    /** Tensors that change nothing: frequencies that the hyperparameters give as well. */
    private static final Pattern HARMLESS =
            Pattern.compile("blk\\.\\d+\\.attn_rot_embd(\\.weight)?|.*\\.rotary_emb\\.inv_freq");

    private final ModelTensors tensors;
    private final LinearWeight embedding;
    private final LinearWeight output;
    private final @Nullable Norm outputNorm;
    private final @Nullable Norm logitNorm; // the same, times what multiplies logits
    private final Additions additions;
    private final List<Dense> projection; // of embeddings
    private final List<Dense> classifier; // to scores
    private final InputLayer.@Nullable Embeddings layerInputs;
    private final DraftLayer.@Nullable Parts draftBlock;
    private final long draftBytes; // of that
    private final List<Block> blocks = new ArrayList<>();

    /** The same without a draft block. */
    public Weights(Gguf file, ModelConfig config, Device device, @Nullable WeightLayout forced) {
        this(file, config, device, forced, Drafts.NONE);
    }

    /**
     * Packs all weights onto {@code device}.
     *
     * @param forced a layout for every matrix instead of its type's own (F32: dequantized), or null
     * @param drafts whether the draft block is loaded
     * @throws ModelFormatException where a tensor is missing or has another shape than the hyperparameters say
     * @throws UnsupportedModelException where the file has tensors that the forward pass would leave out
     */
    public Weights(Gguf file, ModelConfig config, Device device, @Nullable WeightLayout forced, Drafts drafts) {
        this(file, config, device, forced, drafts, begun -> {});
    }

    /** The same, where {@code progress} hears how many bytes of the file's tensors were begun. */
    public Weights(
            Gguf file,
            ModelConfig config,
            Device device,
            @Nullable WeightLayout forced,
            Drafts drafts,
            LongConsumer progress) {
        tensors = new ModelTensors(file, device, forced, progress);
        try {
            embedding = tensors.matrix("token_embd.weight", config.vocabulary(), config.hidden());
            output = tensors.has("output.weight")
                    ? tensors.matrix("output.weight", config.vocabulary(), config.hidden())
                    : embedding;
            outputNorm = outputNorm(config, 1);
            logitNorm = config.logitScale() == 1 ? outputNorm : outputNorm(config, config.logitScale());
            additions = additions(config);
            projection = head(config.hidden(), "dense_2", "dense_3");
            classifier = head(config.hidden(), "cls", "cls.output");
            layerInputs = config.layerInput() == 0 ? null : layerInputs(config);
            for (int layer = 0; layer < config.layers().size(); layer++) {
                blocks.add(block("blk." + layer + ".", config, config.layers().get(layer)));
            }
            long ofLayers = tensors.bytes();
            draftBlock = draftBlock(config, drafts);
            draftBytes = tensors.bytes() - ofLayers;
            requireAllUsed(config);
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
    }

    private void requireAllUsed(ModelConfig config) {
        List<String> left = tensors.unused().stream()
                .filter(name -> !HARMLESS.matcher(name).matches())
                .filter(name -> !config.isOfSkippedBlock(name))
                .toList();
        if (!left.isEmpty()) {
            String more = left.size() > NAMED ? " and " + (left.size() - NAMED) + " more" : "";
            throw new UnsupportedModelException(
                    "The model has tensors that are not supported, and without which it would"
                            + " compute something else: "
                            + String.join(", ", left.subList(0, Math.min(NAMED, left.size())))
                            + more + ".");
        }
    }

    private @Nullable Norm outputNorm(ModelConfig config, float factor) {
        Traits traits = config.architecture().traits();
        if (traits.encoder && !tensors.has("output_norm.weight") && tensors.has("blk.0.layer_output_norm.weight")) {
            return null; // layers normalize the stream
        }
        boolean other = !traits.encoder // LFM2's name
                && !tensors.has("output_norm.weight")
                && tensors.has("token_embd_norm.weight");
        return tensors.requiredNorm(
                other ? "token_embd_norm" : "output_norm", config.hidden(), traits.layerNorm, factor);
    }

    private Additions additions(ModelConfig config) {
        Traits traits = config.architecture().traits();
        if (!traits.encoder) {
            return new Additions(null, null, null);
        }
        boolean places = tensors.has("position_embd.weight");
        if (!places && config.ropes().isEmpty()) {
            throw ModelTensors.missing("position_embd.weight");
        }
        String types = "token_types.weight";
        return new Additions(
                places ? tensors.matrix("position_embd.weight", config.contextLength(), config.hidden()) : null,
                tensors.has(types) ? tensors.matrix(types, tensors.rowsOfEach(types, 1), config.hidden()) : null,
                tensors.norm("token_embd_norm", config.hidden(), traits.layerNorm));
    }

    /** Matrices in order, each of which gets what the one before returns. */
    private List<Dense> head(int columns, String... names) {
        List<Dense> head = new ArrayList<>();
        int width = columns;
        for (String name : names) {
            if (tensors.has(name + ".weight")) {
                int rows = tensors.rowsOfEach(name + ".weight", 1);
                if (rows > ArchitectureKeys.MAXIMUM_WIDTH) {
                    throw new ModelFormatException(
                            "Tensor \"" + name + ".weight\" has " + rows + " rows; embeddings and"
                                    + " scores have at most " + ArchitectureKeys.MAXIMUM_WIDTH + " numbers.");
                }
                LinearWeight matrix = tensors.matrix(name + ".weight", rows, width);
                head.add(new Dense(matrix, tensors.optional(name + ".bias", rows), name.equals("cls")));
                width = rows;
            }
        }
        return head;
    }

    /**
     * A matrix that what is made of a text goes through.
     *
     * @param tanh whether its results go through tanh
     */
    record Dense(LinearWeight matrix, @Nullable Buffer bias, boolean tanh) {}

    private InputLayer.Embeddings layerInputs(ModelConfig config) {
        int all = Math.multiplyExact(config.layers().size(), config.layerInput());
        return new InputLayer.Embeddings(
                tensors.matrix("per_layer_token_embd.weight", config.vocabulary(), all),
                tensors.matrix("per_layer_model_proj.weight", all, config.hidden()),
                tensors.vector("per_layer_proj_norm.weight", config.layerInput(), (float) Math.sqrt(0.5)));
    }

    private InputLayer.Parts layerInput(String p, int width, int hidden) {
        return new InputLayer.Parts(
                tensors.matrix(p + "inp_gate.weight", width, hidden),
                tensors.matrix(p + "proj.weight", hidden, width),
                tensors.requiredNorm(p + "post_norm", hidden, false, 1));
    }

    /**
     * How matrices of a type lie on a device: Q8_0 as rows where all blocks of a row have the same scale.
     *
     * @param forced a layout for every matrix instead of its type's own, or null
     */
    public static WeightLayout layout(Gguf file, Device device, @Nullable WeightLayout forced, TensorType type) {
        if (forced != null) {
            return forced;
        }
        boolean rows = type == TensorType.Q8_0
                && file.metadata().has(ACTIVATIONS)
                && device.activations() == ActivationType.INT8_ROW;
        return rows ? WeightLayout.int8(WeightLayout.ROW) : type.layout();
    }

    /** How the names of the draft block's tensors begin. */
    public static String draftNames(ModelConfig config) {
        return "blk." + config.layers().size() + ".";
    }

    /** Whether a file has a block that drafts tokens, which can be run. */
    public static boolean hasDraftBlock(Gguf file, ModelConfig config) {
        return hasDraftBlock(name -> file.tensor(name) != null, config);
    }

    private static boolean hasDraftBlock(Predicate<String> has, ModelConfig config) {
        String p = draftNames(config);
        return config.draftBlock() != null && has.test(p + "nextn.eh_proj.weight") && has.test(p + "attn_q.weight");
    }

    private DraftLayer.@Nullable Parts draftBlock(ModelConfig config, Drafts drafts) {
        ModelConfig.DraftBlock shape = config.draftBlock();
        if (drafts == Drafts.NONE || shape == null || !hasDraftBlock(tensors::has, config)) {
            return null;
        }
        try {
            return draftBlock(config, shape);
        } catch (ModelFormatException | UnsupportedModelException e) {
            if (drafts == Drafts.REQUIRED) {
                throw e;
            }
            LOG.log(System.Logger.Level.WARNING, "The model''s draft block is left out: {0}", e.getMessage());
            return null;
        }
    }

    /** The block that predicts the token after the next one. */
    private DraftLayer.Parts draftBlock(ModelConfig config, ModelConfig.DraftBlock shape) {
        String p = draftNames(config);
        String next = p + "nextn.";
        int hidden = config.hidden();
        String table = next + "embed_tokens.weight";
        String head = next + "shared_head_head.weight";
        String name = next + "shared_head_norm";
        boolean own = tensors.has(name + ".weight");
        Norm norm = own ? tensors.requiredNorm(name, hidden, false, 1) : Objects.requireNonNull(outputNorm);
        boolean scales = config.logitScale() != 1;
        Norm scaled = scales && own ? tensors.requiredNorm(name, hidden, false, config.logitScale()) : logitNorm;
        return new DraftLayer.Parts(
                tensors.has(table) ? tensors.matrix(table, config.vocabulary(), hidden) : embedding,
                tensors.vectors(hidden, next + "enorm.weight", next + "hnorm.weight"),
                tensors.matrix(next + "eh_proj.weight", hidden, 2 * hidden),
                shape.layer(),
                block(p, config, shape.layer()),
                norm,
                scales ? Objects.requireNonNull(scaled) : norm,
                tensors.has(head) ? tensors.matrix(head, config.vocabulary(), hidden) : output);
    }

    private Block block(String p, ModelConfig config, Layer layer) {
        Traits traits = config.architecture().traits();
        BlockNorms norms = norms(p, config.hidden(), traits, layer);
        Mixer mixer = MixerReader.read(tensors, config, p, layer, norms.mixer != null && !traits.parallel);
        FeedForward feedForward = traits.oneBranch && layer.feedForward() == 0
                ? null
                : FeedForwardReader.read(tensors, config, p, layer.feedForward());
        ModelTensors.requireNotRotated(
                p + "ffn_up",
                norms.feedForward == null && feedForward != null && rotatesInput(feedForward.ofAllTokens()));
        float[] scale = tensors.numbers(p + "layer_output_scale.weight", 1);
        return new Block(
                norms.mixer,
                mixer,
                norms.postMixer,
                norms.mixerStream,
                norms.feedForward,
                feedForward,
                norms.postFeedForward,
                norms.stream,
                config.layerInput() == 0 ? null : layerInput(p, config.layerInput(), config.hidden()),
                scale.length == 0 ? 1 : scale[0]);
    }

    private static boolean rotatesInput(FeedForward.@Nullable Dense dense) {
        return dense != null && dense.rotatedInput();
    }

    /**
     * Which norms there are, by which tensors there are: a norm after attention is the one before the feed-forward
     * layer where the file has none of that name and none after it.
     */
    private BlockNorms norms(String p, int hidden, Traits traits, Layer layer) {
        boolean biased = traits.layerNorm;
        Norm mixer = tensors.norm(p + "attn_norm", hidden, biased);
        if (traits.parallel && mixer != null) {
            return new BlockNorms(mixer, null, null, null, null, null); // others are tensors that nobody uses
        }
        if (traits.oneBranch && mixer != null && (layer.mixing() == Layer.Mixing.NONE || layer.feedForward() == 0)) {
            boolean mixes = layer.mixing() != Layer.Mixing.NONE;
            return new BlockNorms(mixes ? mixer : null, null, null, mixes ? null : mixer, null, null);
        }
        Norm postMixer = tensors.norm(p + "post_attention_norm", hidden, biased);
        Norm mixerStream = traits.encoder ? tensors.norm(p + "attn_output_norm", hidden, biased) : null;
        Norm feedForward = tensors.norm(p + "ffn_norm", hidden, biased);
        Norm postFeedForward = tensors.norm(p + "post_ffw_norm", hidden, biased);
        Norm stream = traits.encoder ? tensors.norm(p + "layer_output_norm", hidden, biased) : null;
        if (feedForward == null && postFeedForward == null) {
            feedForward = postMixer;
            postMixer = null;
        }
        boolean first = p.equals("blk.0.") && additions.norm != null && stream == null; // what it gets is normalized
        if (mixer == null && mixerStream == null && !first && (postMixer == null || !traits.postNormsOnly)) {
            throw ModelTensors.missing(p + "attn_norm.weight");
        }
        if (feedForward == null && stream == null && (postFeedForward == null || !traits.postNormsOnly)) {
            throw ModelTensors.missing(p + "ffn_norm.weight");
        }
        return new BlockNorms(mixer, postMixer, mixerStream, feedForward, postFeedForward, stream);
    }

    /** The widest inner row of the feed-forward layers, those of experts that all tokens have included; at least 1. */
    int denseWidth() {
        int widest = 1;
        for (Block block : allBlocks()) {
            FeedForward feedForward = block.feedForward();
            FeedForward.Dense dense = feedForward == null ? null : feedForward.ofAllTokens();
            widest = Math.max(widest, dense == null ? 0 : dense.width());
        }
        return widest;
    }

    private List<Block> allBlocks() {
        List<Block> all = new ArrayList<>(blocks);
        if (draftBlock != null) {
            all.add(draftBlock.block());
        }
        return all;
    }

    private static FeedForward.@Nullable Experts chosen(Block block) {
        FeedForward feedForward = block.feedForward();
        return feedForward == null ? null : feedForward.chosen();
    }

    /** The widest inner row of an expert that is chosen, 0 where there are none. */
    int expertWidth() {
        return allBlocks().stream()
                .map(Weights::chosen)
                .filter(Objects::nonNull)
                .mapToInt(FeedForward::width)
                .max()
                .orElse(0);
    }

    LinearWeight embedding() {
        return embedding;
    }

    LinearWeight output() {
        return output;
    }

    @Nullable
    Norm outputNorm() {
        return outputNorm;
    }

    /** The output norm, times what multiplies logits. */
    @Nullable
    Norm logitNorm() {
        return logitNorm;
    }

    Additions additions() {
        return additions;
    }

    /** Kinds of text that the model tells apart; 0 where it does not. */
    public int kindsOfText() {
        return additions.types == null ? 0 : additions.types.rows();
    }

    /** Checks that scores can be made: encoders are trained with a layer before the classifier. */
    void requireClassifier(ModelConfig config) {
        boolean both = config.architecture().traits().encoder;
        for (String name : both ? List.of("cls.weight", "cls.output.weight") : List.of("cls.output.weight")) {
            if (!tensors.has(name)) {
                throw ModelTensors.missing(name);
            }
        }
    }

    /** What embeddings, or scores, of texts go through. */
    List<Dense> head(Pooling pooling) {
        return pooling == Pooling.RANK ? classifier : projection;
    }

    InputLayer.@Nullable Embeddings layerInputs() {
        return layerInputs;
    }

    Block block(int layer) {
        return blocks.get(layer);
    }

    DraftLayer.@Nullable Parts draftBlock() {
        return draftBlock;
    }

    /** Whether there is a block that drafts tokens. */
    public boolean drafts() {
        return draftBlock != null;
    }

    /** Bytes of the matrices that a token is computed with: of chosen experts, as many as a token has. */
    public long bytesPerToken() {
        long others = draftBytes;
        for (Block block : blocks) {
            FeedForward.Experts layer = chosen(block);
            if (layer != null) {
                long experts = Stream.of(layer.gates(), layer.ups(), layer.downs())
                        .filter(Objects::nonNull)
                        .mapToLong(WeightGroup::bytes)
                        .sum();
                int unused = layer.routing().experts() - layer.routing().used();
                others += experts / layer.routing().experts() * unused;
            }
        }
        if (layerInputs != null) {
            others += layerInputs.table().bytes(); // but for a row
        }
        return tensors.bytes() - others;
    }

    /** Bytes of all matrices on the device. */
    public long bytes() {
        return tensors.bytes();
    }

    @Override
    public void close() {
        tensors.close();
    }
}
