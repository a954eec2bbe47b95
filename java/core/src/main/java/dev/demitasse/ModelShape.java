package dev.demitasse;

import dev.demitasse.device.Routing;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.Layer;
import dev.demitasse.model.ModelConfig;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The dimensions of a model: what decides how much a forward pass reads and computes.
 *
 * @param name what it is called
 * @param layers transformer blocks
 * @param hidden width of the residual stream
 * @param feedForward inner width of the feed-forward layers; where all have experts, of what a token has of them
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param headDim elements of a head
 * @param vocabulary tokens
 * @param tied whether the embedding is the output matrix too
 * @param contextLength positions that the model was trained for
 * @param window positions that a layer with a window sees; 0 where none has one
 * @param windowedLayers layers with a window
 * @param experts of layers with experts; null where there are none
 */
public record ModelShape(
        String name,
        int layers,
        int hidden,
        int feedForward,
        int heads,
        int kvHeads,
        int headDim,
        int vocabulary,
        boolean tied,
        int contextLength,
        int window,
        int windowedLayers,
        @Nullable Experts experts) {
    /**
     * Experts, of which each token has a few.
     *
     * @param count how many a layer has
     * @param used how many of them a token has
     * @param inner inner width of one
     * @param shared inner width of the one that all tokens have; 0 for none
     * @param denseLayers layers without experts, which come first
     */
    public record Experts(int count, int used, int inner, int shared, int denseLayers) {
        /** Checks that there can be such experts. */
        public Experts {
            if (used < 1 || count < used || inner < 1 || shared < 0 || denseLayers < 0) {
                throw new UsageException("No model has " + used + " of " + count + " experts of width " + inner
                        + " and " + shared + ", and " + denseLayers + " layers without.");
            }
        }

        /** {@return inner width of all that a token has} */
        public int active() {
            return used * inner + shared;
        }
    }

    /** Checks that a model can have these dimensions. */
    public ModelShape {
        int least = Math.min(
                Math.min(Math.min(layers, hidden), Math.min(feedForward, heads)),
                Math.min(Math.min(kvHeads, headDim), Math.min(vocabulary, contextLength)));
        boolean layered = windowedLayers <= layers && (experts == null || experts.denseLayers < layers);
        if (least < 1 || heads % kvHeads != 0 || window < 0 || windowedLayers < 0 || !layered) {
            throw new UsageException("No model has the dimensions of \"" + name + "\": layers " + layers + ", hidden "
                    + hidden + ", feed-forward " + feedForward + ", heads " + heads + " and " + kvHeads + " of "
                    + headDim + ", vocabulary " + vocabulary + ", context " + contextLength + ".");
        }
    }

    /**
     * {@return the dimensions of an open file}
     *
     * @param file an open model
     * @throws dev.demitasse.exception.ModelFormatException where it is damaged
     * @throws dev.demitasse.exception.UnsupportedModelException where its architecture is not supported
     */
    public static ModelShape of(Gguf file) {
        ModelConfig config = Hyperparameters.read(file, 0);
        String unknown = unknown(config, file);
        if (unknown != null) {
            throw new UnsupportedModelException(
                    unknown + ": for such models speed is not predicted, and channels are not scaled yet.");
        }
        int window = config.layers().stream().mapToInt(Layer::window).max().orElse(0);
        String architecture = config.architecture().key();
        Experts experts = experts(config, file);
        return new ModelShape(
                String.valueOf(file.metadata().string("general.name", architecture)),
                config.layers().size(),
                config.hidden(),
                experts != null && experts.denseLayers == 0
                        ? experts.active()
                        : config.layers().getFirst().feedForward(),
                config.heads(),
                config.caches().getFirst().kvHeads(),
                config.caches().getFirst().headDim(),
                config.vocabulary(),
                file.tensor("output.weight") == null,
                config.contextLength(),
                window,
                config.windowedLayers(),
                experts);
    }

    private static @Nullable Experts experts(ModelConfig config, Gguf file) {
        Routing routing = config.routing();
        if (routing == null) {
            return null;
        }
        int dense = denseLayers(config, file);
        GgufTensor down = down(file, dense, "exps");
        GgufTensor shared = down(file, dense, "shexp");
        if (down == null) {
            throw new ModelFormatException("No layer of the model has experts; the file is not a complete model.");
        }
        return new Experts(
                routing.experts(),
                routing.used(),
                (int) down.columns(),
                shared == null ? 0 : (int) shared.columns(),
                dense);
    }

    private static @Nullable GgufTensor down(Gguf file, int layer, String of) {
        return file.tensor("blk." + layer + ".ffn_down_" + of + ".weight");
    }

    /** Layers before the first with experts. */
    private static int denseLayers(ModelConfig config, Gguf file) {
        int dense = 0;
        while (dense < config.layers().size() && down(file, dense, "exps") == null) {
            dense++;
        }
        return dense;
    }

    /** What these dimensions cannot say of a model, in words; null where they say all. */
    private static @Nullable String unknown(ModelConfig config, Gguf file) {
        if (config.isEncoder()) {
            return "The model is an encoder";
        }
        if (config.recurrent() != null) {
            return "The model has layers with a state";
        }
        if (config.latent() != null) {
            return "The model has latent attention";
        }
        if (config.sharesInputs()) {
            return "In the model's blocks what is normalized goes to attention and the feed-forward layer, or values"
                    + " are normalized";
        }
        int layers = config.layers().size();
        int dense = config.isMixture() ? denseLayers(config, file) : layers;
        if (IntStream.range(dense, layers).anyMatch(layer -> down(file, layer, "exps") == null)) {
            return "Layers with experts and layers without take turns in the model";
        }
        long widths = config.layers().stream()
                .limit(dense)
                .mapToInt(Layer::feedForward)
                .distinct()
                .count();
        if (config.caches().size() > 1 || widths > 1 || config.layerInput() > 0) {
            return "The layers of the model have heads or feed-forward layers of different sizes, or inputs of their"
                    + " own";
        }
        return null;
    }

    /** {@return elements of all heads' queries of a position} */
    public int queries() {
        return heads * headDim;
    }

    /** {@return elements of a position's keys, or of its values} */
    public int keys() {
        return kvHeads * headDim;
    }

    /** {@return weights in the matrices that a token is multiplied by, the output matrix included} */
    public long multipliedWeights() {
        return layerWeights(experts == null ? 0 : experts.used) + (long) vocabulary * hidden;
    }

    /** {@return weights of the model} */
    public long weights() {
        return layerWeights(experts == null ? 0 : experts.count) + (tied ? 1 : 2) * (long) vocabulary * hidden;
    }

    /** Weights of all layers' matrices with so many of each layer's experts. */
    private long layerWeights(int each) {
        long attention = (long) hidden * (2L * queries() + 2L * keys());
        long dense = 3L * hidden * feedForward;
        if (experts == null) {
            return layers * (attention + dense);
        }
        long routed = hidden * (3L * ((long) each * experts.inner + experts.shared) + experts.count);
        return layers * attention + experts.denseLayers * dense + (layers - experts.denseLayers) * routed;
    }

    /**
     * {@return bytes of the keys and values of {@code positions} positions in all layers, in whole pages}
     *
     * @param type how keys and values are stored
     * @param positions how many positions
     */
    public long cacheBytes(KvType type, int positions) {
        int pages = Math.ceilDiv(positions, KvShape.PAGE);
        return 2 * new KvShape(layers, kvHeads, headDim, pages, type).bytes();
    }

    /**
     * {@return bytes that attention of a row at {@code position} reads, in all layers}
     *
     * @param type how keys and values are stored
     * @param position of the row, from 0
     */
    public double readBytes(KvType type, int position) {
        double whole = cacheBytes(type, KvShape.PAGE) / (double) KvShape.PAGE;
        return whole * seen(position);
    }

    /**
     * {@return positions that a row at {@code position} sees, on average over the layers}
     *
     * @param position of the row, from 0
     */
    public double seen(int position) {
        double all = position + 1.0;
        double windowed = window == 0 ? all : Math.min(all, window);
        return (all * (layers - windowedLayers) + windowed * windowedLayers) / layers;
    }
}
