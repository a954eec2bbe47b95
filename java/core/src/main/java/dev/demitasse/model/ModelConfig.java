package dev.demitasse.model;

import dev.demitasse.device.DeltaShape;
import dev.demitasse.device.Gate;
import dev.demitasse.device.Rope;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Metadata;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The hyperparameters of a model, read once and validated.
 *
 * <p>Where a model multiplies what each branch adds to the residual stream by s, the stream that is computed is the
 * model's divided by s: branches are added as they are, embeddings are divided by s, and RMS norms of the stream, which
 * are the same for both but for their epsilon, have {@code epsilon / s^2}.
 *
 * @param architecture the family
 * @param vocabulary number of tokens
 * @param contextLength positions that the model was trained for
 * @param hidden width of the residual stream
 * @param feedForward inner width of the feed-forward layers
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param headDim elements of a head
 * @param epsilon of the RMS norms of queries, keys and branches
 * @param residualEpsilon of the RMS norms of the residual stream
 * @param attentionScale multiplies query · key
 * @param attentionSoftCap soft cap of attention scores, 0 for none
 * @param finalSoftCap soft cap of logits, 0 for none
 * @param embeddingScale multiplies embeddings
 * @param logitScale multiplies logits, before their soft cap
 * @param routing of layers with experts; null where there are none
 * @param layers the transformer blocks
 * @param skippedBlocks blocks behind them that the file has, and that are not run: they predict further tokens
 * @param ropes the different frequencies of layers
 * @param recurrent of the layers with a state; null where there are none
 */
public record ModelConfig(
        Architecture architecture,
        int vocabulary,
        int contextLength,
        int hidden,
        int feedForward,
        int heads,
        int kvHeads,
        int headDim,
        float epsilon,
        float residualEpsilon,
        float attentionScale,
        float attentionSoftCap,
        float finalSoftCap,
        float embeddingScale,
        float logitScale,
        @Nullable Routing routing,
        List<Layer> layers,
        int skippedBlocks,
        List<RopeFrequencies> ropes,
        @Nullable Recurrent recurrent) {

    private static final int MAXIMUM_WIDTH = 1 << 20;
    private static final int MAXIMUM_LAYERS = 1024;
    private static final int MAXIMUM_EXPERTS = 2048;
    private static final int MAXIMUM_USED_EXPERTS = 256;
    private static final int MAXIMUM_KERNEL = 16;
    private static final int MAXIMUM_STATE_HEADS = 1024;

    /** Copies the lists. */
    public ModelConfig {
        layers = List.copyOf(layers);
        ropes = List.copyOf(ropes);
    }

    /**
     * Reads the hyperparameters.
     *
     * @param metadata of the model
     * @param vocabulary number of tokens in its vocabulary
     * @param factors {@code rope_freqs} and {@code rope_factors_*} tensors
     * @param context positions that will be used, which decides between long and short RoPE factors
     * @throws ModelFormatException where they are missing or contradict each other
     * @throws UnsupportedModelException where they ask for what the forward pass has not
     */
    public static ModelConfig read(Metadata metadata, int vocabulary, RopeFrequencies.Factors factors, int context) {
        return new Reader(metadata).read(vocabulary, factors, context);
    }

    /** The pairs of elements that rotary position embedding rotates. */
    public Rope ropeKind() {
        return architecture.traits().rope;
    }

    /** The activation function of the feed-forward layers. */
    public Gate gate() {
        return architecture.traits().gate;
    }

    /** Whether there are layers with experts. */
    public boolean isMixture() {
        return routing != null;
    }

    /** Layers that see a window only. */
    public int windowedLayers() {
        return (int) layers.stream().filter(layer -> layer.window() > 0).count();
    }

    /**
     * Whether a tensor belongs to a block that is not run: those behind the last layer predict the token after the next
     * one.
     */
    public boolean isOfSkippedBlock(String tensor) {
        int end = tensor.startsWith("blk.") ? tensor.indexOf('.', 4) : -1;
        if (skippedBlocks == 0 || end < 5 || end > 8) {
            return false;
        }
        int block = 0;
        for (int i = 4; i < end; i++) {
            int digit = tensor.charAt(i) - '0';
            if (digit < 0 || digit > 9 || digit == 0 && i == 4 && end > 5) {
                return false;
            }
            block = 10 * block + digit;
        }
        return block >= layers.size() && block < layers.size() + skippedBlocks;
    }

    /** Layers that have keys and values in a cache. */
    public int attentionLayers() {
        return layers.size() - (recurrent == null ? 0 : recurrent.layers());
    }

    /** Bytes that a position takes in a cache of 16-bit numbers. */
    public long kvBytesPerPosition() {
        return 2L * attentionLayers() * kvHeads * headDim * 2;
    }

    /** Reads the keys of one file. */
    private static final class Reader {
        private final Metadata metadata;
        private final Architecture architecture;
        private final Traits traits;
        private final String prefix;

        Reader(Metadata metadata) {
            this.metadata = metadata;
            this.architecture = Architecture.of(metadata.string("general.architecture"));
            this.traits = architecture.traits();
            this.prefix = architecture.key() + ".";
        }

        ModelConfig read(int vocabulary, RopeFrequencies.Factors factors, int context) {
            int blocks = bounded("block_count", 1, MAXIMUM_LAYERS);
            int skipped = optional("nextn_predict_layers", 0, blocks - 1);
            int layerCount = blocks - skipped;
            int hidden = bounded("embedding_length", 1, MAXIMUM_WIDTH);
            int heads = bounded("attention.head_count", 1, MAXIMUM_WIDTH);
            int kvHeads = kvHeads(heads);
            int headDim = headDim(hidden, heads);
            Layer.Mixing[] mixings = mixings(layerCount, blocks);
            int trained = bounded("context_length", 1, Integer.MAX_VALUE);
            List<RopeFrequencies> ropes = new ArrayList<>();
            List<Layer> layers =
                    layers(mixings, headDim, ropes(headDim, trained, factors, Math.min(context, trained)), ropes);
            float epsilon = positive("attention.layer_norm_rms_epsilon", 1e-5f);
            float residualScale = residualScale();
            float embeddingScale = factor("embedding_scale", traits.scaledEmbedding ? (float) Math.sqrt(hidden) : 1);
            float logitScale = factor("logit_scale", 1);
            boolean hiddenScaled = layerCount == traits.hiddenScaledLayers;
            return new ModelConfig(
                    architecture,
                    vocabulary,
                    trained,
                    hidden,
                    bounded("feed_forward_length", 1, MAXIMUM_WIDTH),
                    heads,
                    kvHeads,
                    headDim,
                    epsilon,
                    epsilon / (residualScale * residualScale),
                    factor("attention.scale", (float)
                            (1 / Math.sqrt(hiddenScaled ? (double) hidden / heads : headDim))),
                    metadata.number(prefix + "attn_logit_softcapping", 0),
                    metadata.number(prefix + "final_logit_softcapping", 0),
                    embeddingScale / residualScale,
                    traits.dividedLogits ? 1 / logitScale : logitScale,
                    routing(),
                    layers,
                    skipped,
                    ropes,
                    recurrent(mixings, hidden));
        }

        /** Which layers are attention, and which the others that the family has. */
        private Layer.Mixing[] mixings(int count, int blocks) {
            Layer.Mixing[] mixings = new Layer.Mixing[count];
            boolean[] recurrent = traits.attentionPeriod > 0 ? listedRecurrent(blocks) : withoutKvHeads(blocks);
            for (int layer = 0; layer < count; layer++) {
                mixings[layer] = recurrent[layer] ? traits.recurrent : Layer.Mixing.ATTENTION;
            }
            if (!Arrays.asList(mixings).contains(Layer.Mixing.ATTENTION)) {
                throw new UnsupportedModelException(
                        "None of the model's " + count + " layers is attention; such models are not supported.");
            }
            return mixings;
        }

        private boolean[] listedRecurrent(int blocks) {
            String key = prefix + "attention.recurrent_layers";
            boolean @Nullable [] listed = metadata.booleans(key);
            if (listed != null && listed.length != blocks) {
                throw metadata.bad(key, "has " + listed.length + " entries for " + blocks + " blocks");
            }
            if (listed != null) {
                return listed;
            }
            String interval = "full_attention_interval";
            int period =
                    metadata.has(prefix + interval) ? bounded(interval, 1, MAXIMUM_LAYERS) : traits.attentionPeriod;
            boolean[] recurrent = new boolean[blocks];
            for (int layer = 0; layer < blocks; layer++) {
                recurrent[layer] = (layer + 1) % period != 0;
            }
            return recurrent;
        }

        private boolean[] withoutKvHeads(int blocks) {
            boolean[] without = new boolean[blocks];
            int[] listed = kvHeadsOfLayers();
            for (int layer = 0; layer < Math.min(blocks, listed.length); layer++) {
                without[layer] = listed[layer] == 0;
            }
            return without;
        }

        /** {@code head_count_kv} where it is a list, with an entry for each block; else empty. */
        private int[] kvHeadsOfLayers() {
            String key = prefix + "attention.head_count_kv";
            int[] listed = metadata.isArray(key) ? metadata.integers(key) : null;
            if (listed != null && listed.length != metadata.integer(prefix + "block_count")) {
                throw metadata.bad(key, "has " + listed.length + " entries, which are not those of all blocks");
            }
            return listed == null ? new int[0] : listed;
        }

        private @Nullable Recurrent recurrent(Layer.Mixing[] mixings, int hidden) {
            int layers = (int) Arrays.stream(mixings)
                    .filter(mixing -> mixing != Layer.Mixing.ATTENTION)
                    .count();
            if (layers == 0) {
                return null;
            }
            if (traits.recurrent == Layer.Mixing.SHORT_CONVOLUTION) {
                int kernel = bounded("shortconv.l_cache", 2, MAXIMUM_KERNEL);
                return new Recurrent(layers, hidden, kernel, 0, 0, 0, false);
            }
            int kernel = bounded("ssm.conv_kernel", 2, MAXIMUM_KERNEL);
            int headDim = bounded("ssm.state_size", 1, DeltaShape.MOST_HEAD_DIM);
            int keyHeads = bounded("ssm.group_count", 1, MAXIMUM_STATE_HEADS);
            int heads = bounded("ssm.time_step_rank", 1, MAXIMUM_STATE_HEADS);
            if (heads % keyHeads != 0) {
                throw metadata.bad(
                        prefix + "ssm.time_step_rank", "is " + heads + ", no multiple of " + keyHeads + " groups");
            }
            if (metadata.integer(prefix + "ssm.inner_size", heads * headDim) != heads * headDim) {
                throw metadata.bad(prefix + "ssm.inner_size", "is not " + heads + " heads of " + headDim);
            }
            int channels = (2 * keyHeads + heads) * headDim;
            return new Recurrent(layers, channels, kernel, keyHeads, heads, headDim, traits.groupedValueHeads);
        }

        private @Nullable Routing routing() {
            int experts = optional("expert_count", 0, MAXIMUM_EXPERTS);
            if (experts == 0) {
                return null;
            }
            int groups = metadata.integer(prefix + "expert_group_count", 0);
            if (groups > 1) {
                throw new UnsupportedModelException(
                        "The model's experts form " + groups + " groups; such models are not supported yet.");
            }
            int id = metadata.integer(prefix + "expert_gating_func", 0);
            Routing.Score score = traits.expertScore;
            for (Routing.Score each : Routing.Score.values()) {
                score = each.id() == id ? each : score;
            }
            if (id != 0 && score.id() != id) {
                throw metadata.bad(prefix + "expert_gating_func", "is " + id + "; 0 to 3 are known");
            }
            boolean normalized = metadata.bool(prefix + "expert_weights_norm", traits.normalizedExperts);
            return new Routing(
                    experts,
                    bounded("expert_used_count", 1, Math.min(experts, MAXIMUM_USED_EXPERTS)),
                    score,
                    normalized,
                    factor("expert_weights_scale", 1));
        }

        /** Its square is to divide an epsilon. */
        private float residualScale() {
            float scale = factor("residual_scale", 1);
            if (!(scale >= 1e-6f && scale <= 1e6f)) {
                throw metadata.bad(prefix + "residual_scale", "is " + scale + "; 1e-6 to 1e6 are possible");
            }
            return scale;
        }

        private int kvHeads(int heads) {
            String key = prefix + "attention.head_count_kv";
            int kvHeads = metadata.isArray(key)
                    ? kvHeadsOfAttention()
                    : metadata.has(key) ? bounded("attention.head_count_kv", 1, MAXIMUM_WIDTH) : heads;
            if (heads % kvHeads != 0) {
                throw metadata.bad(key, "is " + kvHeads + ", which does not divide " + heads + " heads");
            }
            return kvHeads;
        }

        /** The heads of the layers that have some. */
        private int kvHeadsOfAttention() {
            String key = prefix + "attention.head_count_kv";
            int[] different = Arrays.stream(kvHeadsOfLayers())
                    .filter(count -> count != 0)
                    .distinct()
                    .toArray();
            if (different.length != 1 || different[0] < 1 || different[0] > MAXIMUM_WIDTH) {
                throw new UnsupportedModelException("\"" + key + "\" has " + different.length
                        + " different numbers of heads; models whose layers differ so are not supported.");
            }
            return different[0];
        }

        private int headDim(int hidden, int heads) {
            String key = prefix + "attention.key_length";
            int headDim = metadata.integer(key, 0);
            if (headDim == 0) {
                if (hidden % heads != 0) {
                    throw metadata.bad(
                            prefix + "attention.head_count", "is " + heads + ", which does not divide " + hidden);
                }
                headDim = hidden / heads;
            }
            if (headDim < 2 || headDim % 2 != 0 || headDim > 1024) {
                throw metadata.bad(key, "is " + headDim + "; even lengths to 1024 are possible");
            }
            if (metadata.integer(prefix + "attention.value_length", headDim) != headDim) {
                throw metadata.bad(prefix + "attention.value_length", "differs from the key length");
            }
            return headDim;
        }

        /** The frequencies of layers without and with a window. */
        private RopeFrequencies[] ropes(int headDim, int trained, RopeFrequencies.Factors factors, int context) {
            int dimensions = metadata.integer(prefix + "rope.dimension_count", headDim);
            if (dimensions < 2 || dimensions % 2 != 0 || dimensions > headDim) {
                throw metadata.bad(prefix + "rope.dimension_count", "is " + dimensions + " in heads of " + headDim);
            }
            requireTextAlone(dimensions);
            float base = positive("rope.freq_base", 10_000);
            float windowBase =
                    positive("rope.freq_base_swa", traits.windowRopeBase == 0 ? base : traits.windowRopeBase);
            RopeFrequencies rope = RopeFrequencies.read(metadata, prefix, dimensions, base, trained, factors, context);
            RopeFrequencies windowRope = traits.plainWindows
                    ? RopeFrequencies.plain(dimensions, windowBase)
                    : windowBase == base
                            ? rope
                            : RopeFrequencies.read(metadata, prefix, dimensions, windowBase, trained, factors, context);
            return new RopeFrequencies[] {rope, windowRope};
        }

        /**
         * Models of pictures divide angles among positions in time, height and width; those of text are alike, so that
         * the division does not matter where it leaves no angle out.
         */
        private void requireTextAlone(int dimensions) {
            int[] sections = metadata.integers(prefix + "rope.dimension_sections");
            int sum = 0;
            for (int i = 0; sections != null && i < sections.length; i++) {
                sum += sections[i];
            }
            if (sections != null && (sum != dimensions / 2 || traits.noRopeSections)) {
                throw new UnsupportedModelException("The sections of RoPE have " + sum + " angles, " + dimensions
                        + " elements have " + dimensions / 2 + "; such models of the architecture \""
                        + architecture.key() + "\" are not supported.");
            }
        }

        private List<Layer> layers(
                Layer.Mixing[] mixings, int headDim, RopeFrequencies[] ropes, List<RopeFrequencies> used) {
            int count = mixings.length;
            int attention = 0;
            int recurrent = 0;
            int window = Math.max(0, metadata.integer(prefix + "attention.sliding_window", 0));
            boolean[] windowed = windowed(count, window);
            boolean anyRope = !traits.ropeSwitch || metadata.bool(prefix + "rope.scaling.finetuned", true);
            boolean onlyInWindows = traits.ropeInWindowsOnly && window > 0;
            float temperature = metadata.number(prefix + "attention.temperature_scale", 0);
            RopeFrequencies[] queryRopes = ropes.clone();
            for (int i = 0; temperature != 0 && i < ropes.length; i++) {
                queryRopes[i] = ropes[i].withTemperature(temperature, temperaturePositions());
            }
            List<Layer> layers = new ArrayList<>();
            for (int layer = 0; layer < count; layer++) {
                boolean none = traits.noRopePeriod > 0 && (layer + 1) % traits.noRopePeriod == 0;
                boolean rotates = anyRope && !none && (windowed[layer] || !onlyInWindows);
                int kind = windowed[layer] ? 1 : 0;
                if (temperature != 0 && (!rotates || ropes[kind].dimensions() != headDim)) {
                    throw new UnsupportedModelException("Queries of layer " + layer
                            + " have a temperature, and are not rotated as a whole; such models are not supported.");
                }
                boolean attends = mixings[layer] == Layer.Mixing.ATTENTION;
                layers.add(new Layer(
                        mixings[layer],
                        attends ? attention++ : recurrent++,
                        windowed[layer] ? window : 0,
                        rotates ? index(used, queryRopes[kind]) : Layer.NO_ROPE,
                        rotates ? index(used, ropes[kind]) : Layer.NO_ROPE));
            }
            return layers;
        }

        /** After so many positions the temperature of queries grows. */
        private int temperaturePositions() {
            String key = "rope.scaling.original_context_length";
            return bounded(metadata.has(prefix + key) ? key : "context_length", 1, Integer.MAX_VALUE);
        }

        private static int index(List<RopeFrequencies> used, RopeFrequencies rope) {
            if (!used.contains(rope)) {
                used.add(rope);
            }
            return used.indexOf(rope);
        }

        /** Which layers see a window: as the file says, by an array or a period, else as the family has it. */
        private boolean[] windowed(int count, int window) {
            String key = prefix + "attention.sliding_window_pattern";
            boolean[] windowed = new boolean[count];
            boolean @Nullable [] listed = metadata.isArray(key) ? metadata.booleans(key) : null;
            if (listed != null && listed.length != count) {
                throw metadata.bad(key, "has " + listed.length + " entries for " + count + " layers");
            }
            int period = traits.windowPeriod;
            if (listed == null && metadata.has(key)) {
                period = bounded("attention.sliding_window_pattern", 0, MAXIMUM_LAYERS);
                period = period == 0 ? 1 : period == 1 ? 0 : period; // a file's 0 is every layer, its 1 none
            }
            for (int layer = 0; layer < count && window > 0; layer++) {
                windowed[layer] =
                        listed != null ? listed[layer] : period == 1 || period > 1 && layer % period < period - 1;
            }
            return windowed;
        }

        private int bounded(String name, int least, int most) {
            int value = metadata.integer(prefix + name);
            if (value < least || value > most) {
                throw metadata.bad(prefix + name, "is " + value + "; " + least + " to " + most + " are possible");
            }
            return value;
        }

        private int optional(String name, int least, int most) {
            return metadata.has(prefix + name) ? bounded(name, least, most) : least;
        }

        private float positive(String name, float otherwise) {
            float value = metadata.number(prefix + name, otherwise);
            if (!(value > 0)) {
                throw metadata.bad(prefix + name, "is " + value + "; it must be above zero");
            }
            return value;
        }

        /** A factor; files say "none" by 0. */
        private float factor(String name, float otherwise) {
            float value = metadata.number(prefix + name, 0);
            return value == 0 ? otherwise : value;
        }
    }
}
