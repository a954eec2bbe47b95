package dev.demitasse.model;

import dev.demitasse.device.AttentionShape;
import dev.demitasse.exception.UnsupportedModelException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads what differs between the layers of a model. */
final class LayerReader {
    private static final int MAXIMUM_HEAD_DIM = 1024;

    private final ArchitectureKeys keys;
    private final Traits traits;
    private final int count;
    private final int blocks;
    private final int heads;
    private final boolean causal;
    private final boolean keeps;
    private final int[] kvHeads; // of each block
    private final int[] widths; // of each block's feed-forward layer

    /** Different frequencies that layers use. */
    final List<RopeFrequencies> ropes = new ArrayList<>();
    /** The caches that they have. */
    final List<ModelConfig.KvLayers> caches = new ArrayList<>();
    /** How each mixes the positions of a sequence. */
    final Layer.Mixing[] mixings;
    /** Elements of the heads of layers without and with a window. */
    final int[] headDims;

    /**
     * Nothing but mixers and heads is read yet.
     *
     * @param count layers
     * @param blocks those and what the file has behind them
     * @param heads query heads
     * @param causal whether a position sees none behind it
     * @param keeps whether each layer has room for keys and values of its own
     */
    LayerReader(ArchitectureKeys keys, int count, int blocks, int hidden, int heads, boolean causal, boolean keeps) {
        this.keys = keys;
        this.traits = keys.architecture().traits();
        this.count = count;
        this.blocks = blocks;
        this.heads = heads;
        this.causal = causal;
        this.keeps = keeps;
        if (keys.integer("attention.key_length", 0) == 0 && hidden % heads != 0) {
            throw keys.bad("attention.head_count", "is " + heads + ", which does not divide " + hidden);
        }
        int headDim = headDim("attention.key_length", "attention.value_length", hidden / heads);
        headDims = new int[] {headDim, headDim("attention.key_length_swa", "attention.value_length_swa", headDim)};
        kvHeads = keys.perBlock("attention.head_count_kv", blocks, heads);
        widths = keys.perBlock("feed_forward_length", blocks, 0);
        mixings = mixings();
    }

    private int headDim(String keyLength, String valueLength, int otherwise) {
        int told = keys.integer(keyLength, 0);
        int headDim = told == 0 ? otherwise : told;
        if (headDim < 2 || headDim % 2 != 0 || headDim > MAXIMUM_HEAD_DIM) {
            throw keys.bad(keyLength, "is " + headDim + "; even lengths to " + MAXIMUM_HEAD_DIM + " are possible");
        }
        if (!traits.latent && keys.integer(valueLength, headDim) != headDim) {
            throw keys.bad(valueLength, "differs from the key length");
        }
        return headDim;
    }

    /** Which layers are attention, and which the others that the family has. */
    private Layer.Mixing[] mixings() {
        boolean[] recurrent = traits.attentionPeriod > 0 ? listedRecurrent() : new boolean[blocks];
        Layer.Mixing[] all = new Layer.Mixing[count];
        for (int layer = 0; layer < count; layer++) {
            boolean other = traits.attentionPeriod > 0 ? recurrent[layer] : kvHeads[layer] == 0;
            boolean none = other && traits.oneBranch && widths[layer] > 0;
            all[layer] = none ? Layer.Mixing.NONE : other ? traits.recurrent : Layer.Mixing.ATTENTION;
        }
        if (!Arrays.asList(all).contains(Layer.Mixing.ATTENTION)) {
            throw new UnsupportedModelException(
                    "None of the model's " + count + " layers is attention; such models are not supported.");
        }
        return all;
    }

    private boolean[] listedRecurrent() {
        String name = "attention.recurrent_layers";
        boolean @Nullable [] listed = keys.metadata().booleans(keys.key(name));
        if (listed != null && listed.length != blocks) {
            throw keys.bad(name, "has " + listed.length + " entries for " + blocks + " blocks");
        }
        if (listed != null) {
            return listed;
        }
        String interval = "full_attention_interval";
        int period = keys.has(interval)
                ? keys.bounded(interval, 1, ArchitectureKeys.MAXIMUM_LAYERS)
                : traits.attentionPeriod;
        boolean[] recurrent = new boolean[blocks];
        for (int layer = 0; layer < blocks; layer++) {
            recurrent[layer] = (layer + 1) % period != 0;
        }
        return recurrent;
    }

    /** Layers with a state. */
    int recurrentLayers() {
        return (int) Arrays.stream(mixings)
                .filter(mixing -> mixing != Layer.Mixing.ATTENTION && mixing != Layer.Mixing.NONE)
                .count();
    }

    /**
     * The layers; {@link #ropes} and {@link #caches} are those that they use, then.
     *
     * @param kinds frequencies of layers without and with a window
     */
    List<Layer> read(RopeFrequencies[] kinds) {
        int window = Math.max(0, keys.integer("attention.sliding_window", traits.chunk));
        window = traits.chunk > 0 && window > 0 ? traits.chunk : window;
        int side = window / 2; // of a window that is centered
        if (traits.chunk > 0 && window > 0 && !causal) {
            throw new UnsupportedModelException("Attention sees runs of positions, those behind its own among them;"
                    + " such models are not supported.");
        }
        boolean[] windowed = windowed(window);
        if (traits.windowRequired
                && (window < 1 || !keys.has("attention.sliding_window_pattern") && traits.windowPeriod == 0)) {
            throw keys.bad(
                    "attention.sliding_window",
                    "is " + window + ", or its pattern is missing; models of this family have windows");
        }
        float temperature = keys.number("attention.temperature_scale", traits.restTemperature);
        boolean ofRest = traits.restTemperature != 0;
        RopeFrequencies.Temperature ofQueries = temperature == 0
                ? RopeFrequencies.Temperature.NONE
                : new RopeFrequencies.Temperature(
                        temperature, ofRest ? traits.chunk : temperaturePositions(), ofRest ? 1 : 0);
        RopeFrequencies[] queryKinds = kinds.clone();
        for (int i = 0; !ofRest && i < kinds.length; i++) {
            queryKinds[i] = kinds[i].withTemperature(ofQueries);
        }
        int rest = ofRest ? index(RopeFrequencies.none(headDims[0]).withTemperature(ofQueries)) : Layer.NO_ROPE;
        int own = count - keys.optional("attention.shared_kv_layers", 0, count - 1);
        int[] cacheOf = new int[count];
        int[] storeOf = new int[count];
        int recurrent = 0;
        List<Layer> layers = new ArrayList<>();
        for (int layer = 0; layer < count; layer++) {
            int kind = windowed[layer] ? 1 : 0;
            boolean rotates = rotates(layer, window > 0, windowed[layer]);
            if (temperature != 0 && !ofRest && (!rotates || kinds[kind].dimensions() != headDims[kind])) {
                throw new UnsupportedModelException("Queries of layer " + layer
                        + " have a temperature, and are not rotated as a whole; such models are not supported.");
            }
            if (mixings[layer] == Layer.Mixing.NONE) {
                rotates = false;
            } else if (mixings[layer] != Layer.Mixing.ATTENTION) {
                storeOf[layer] = recurrent++;
            } else if (layer < own) {
                cacheOf[layer] = cache(layer, kvHeads[layer], headDims[kind]);
                storeOf[layer] = caches.get(cacheOf[layer]).layers() - 1;
            } else {
                int from = lastOf(windowed, layer, own);
                cacheOf[layer] = cacheOf[from];
                storeOf[layer] = storeOf[from];
            }
            layers.add(new Layer(
                    mixings[layer],
                    cacheOf[layer],
                    storeOf[layer],
                    layer < own,
                    !windowed[layer] ? 0 : traits.chunk > 0 ? -window : causal ? window : side + 1,
                    causal ? 0 : windowed[layer] ? side : AttentionShape.MOST_AHEAD,
                    rotates ? index(queryKinds[kind]) : rest,
                    rotates ? index(kinds[kind]) : Layer.NO_ROPE,
                    rotates && traits.normalizedHeads && keys.integer("expert_count", 0) != traits.plainHeadExperts,
                    width(widths[layer])));
        }
        if (!keeps && (recurrentLayers() > 0 || own < count)) {
            throw new UnsupportedModelException("The model has layers with a state or without keys of their own; as"
                    + " encoders such models are not supported.");
        }
        return layers;
    }

    /**
     * The block behind the layers, which attends to all positions; null where there is none, or this family's layers do
     * not tell what it would be.
     *
     * @param full frequencies of layers without a window
     */
    ModelConfig.@Nullable DraftBlock draftBlock(RopeFrequencies full) {
        boolean sound = blocks > count
                && kvHeads[count] > 0
                && heads % kvHeads[count] == 0
                && widths[count] >= 0
                && widths[count] <= ArchitectureKeys.MAXIMUM_WIDTH;
        boolean temperature = keys.number("attention.temperature_scale", traits.restTemperature) != 0;
        if (!sound || !causal || !keeps || temperature || traits.latent || traits.oneBranch || traits.layerNorm) {
            return null;
        }
        boolean rotates = rotates(count, true, false);
        Layer layer = new Layer(
                Layer.Mixing.ATTENTION,
                caches.size(),
                0,
                true,
                0,
                0,
                rotates ? index(full) : Layer.NO_ROPE,
                rotates ? index(full) : Layer.NO_ROPE,
                false,
                widths[count]);
        return new ModelConfig.DraftBlock(layer, new ModelConfig.KvLayers(kvHeads[count], headDims[0], 1));
    }

    private int width(int width) {
        boolean needed = !traits.oneBranch && keys.integer("expert_count", 0) == 0;
        if (width < (needed ? 1 : 0) || width > ArchitectureKeys.MAXIMUM_WIDTH) {
            throw keys.bad(
                    "feed_forward_length",
                    "is " + width + " or missing; " + (needed ? 1 : 0) + " to " + ArchitectureKeys.MAXIMUM_WIDTH
                            + " are possible");
        }
        return width;
    }

    private boolean rotates(int layer, boolean anyWindow, boolean windowed) {
        boolean any = !traits.noRope
                && (!traits.ropeSwitch || keys.metadata().bool(keys.key("rope.scaling.finetuned"), true));
        boolean none = traits.noRopePeriod > 0 && (layer + 1) % traits.noRopePeriod == 0;
        return any && !none && (windowed || !traits.ropeInWindowsOnly || !anyWindow);
    }

    /** The cache of a layer that has keys and values of its own, which is one more of that cache. */
    private int cache(int layer, int kvHeads, int headDim) {
        if (kvHeads < 1 || heads % kvHeads != 0) {
            throw keys.bad(
                    "attention.head_count_kv",
                    "is " + kvHeads + " in layer " + layer + ", which does not divide " + heads + " heads");
        }
        int cache = 0;
        while (cache < caches.size()
                && (caches.get(cache).kvHeads() != kvHeads || caches.get(cache).headDim() != headDim)) {
            cache++;
        }
        if (cache == caches.size()) {
            caches.add(new ModelConfig.KvLayers(kvHeads, headDim, 0));
        }
        int layers = keeps ? caches.get(cache).layers() + 1 : 1;
        caches.set(cache, new ModelConfig.KvLayers(kvHeads, headDim, layers));
        return cache;
    }

    /** The last layer before {@code end} that attends as {@code layer} does: its keys and values are those of both. */
    private int lastOf(boolean[] windowed, int layer, int end) {
        for (int from = end - 1; from >= 0; from--) {
            if (windowed[from] == windowed[layer] && mixings[from] == Layer.Mixing.ATTENTION) {
                return from;
            }
        }
        throw keys.bad("attention.shared_kv_layers", "leaves layer " + layer + " no layer whose cache it could use");
    }

    /** After so many positions the temperature of queries grows. */
    private int temperaturePositions() {
        String name = "rope.scaling.original_context_length";
        return keys.bounded(keys.has(name) ? name : "context_length", 1, Integer.MAX_VALUE);
    }

    private int index(RopeFrequencies rope) {
        if (!ropes.contains(rope)) {
            ropes.add(rope);
        }
        return ropes.indexOf(rope);
    }

    /** Which layers see a window: as the file says, by an array or a period, else as the family has it. */
    private boolean[] windowed(int window) {
        String name = "attention.sliding_window_pattern";
        String key = keys.key(name);
        boolean[] windowed = new boolean[count];
        boolean @Nullable [] listed =
                keys.metadata().isArray(key) ? keys.metadata().booleans(key) : null;
        if (listed != null && listed.length != count && listed.length != blocks) {
            throw keys.bad(name, "has " + listed.length + " entries for " + count + " layers");
        }
        int period = traits.windowPeriod;
        if (listed == null && keys.has(name)) {
            period = keys.bounded(name, 0, ArchitectureKeys.MAXIMUM_LAYERS);
            period = period == 0 ? 1 : period == 1 ? 0 : period; // a file's 0 is every layer, its 1 none
        }
        for (int layer = 0; layer < count && window > 0; layer++) {
            int place = traits.fullLayersFirst ? layer + period - 1 : layer;
            windowed[layer] = listed != null ? listed[layer] : period == 1 || period > 1 && place % period < period - 1;
        }
        return windowed;
    }
}
