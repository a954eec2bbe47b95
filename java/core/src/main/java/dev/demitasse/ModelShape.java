package dev.demitasse;

import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.Layer;
import dev.demitasse.model.ModelConfig;
import org.jspecify.annotations.Nullable;

/**
 * The dimensions of a model: what decides how much a forward pass reads and computes.
 *
 * @param name what it is called
 * @param layers transformer blocks
 * @param hidden width of the residual stream
 * @param feedForward inner width of the feed-forward layers
 * @param heads query heads
 * @param kvHeads key and value heads
 * @param headDim elements of a head
 * @param vocabulary tokens
 * @param tied whether the embedding is the output matrix too
 * @param contextLength positions that the model was trained for
 * @param window positions that a layer with a window sees; 0 where none has one
 * @param windowedLayers layers with a window
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
        int windowedLayers) {
    /** Checks that a model can have these dimensions. */
    public ModelShape {
        int least = Math.min(
                Math.min(Math.min(layers, hidden), Math.min(feedForward, heads)),
                Math.min(Math.min(kvHeads, headDim), Math.min(vocabulary, contextLength)));
        if (least < 1 || heads % kvHeads != 0 || window < 0 || windowedLayers < 0 || windowedLayers > layers) {
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
        String unknown = unknown(config);
        if (unknown != null) {
            throw new UnsupportedModelException(
                    unknown + ": for such models speed is not predicted, no importance matrix"
                            + " is collected, and channels are not scaled yet.");
        }
        int window = config.layers().stream().mapToInt(Layer::window).max().orElse(0);
        String architecture = config.architecture().key();
        return new ModelShape(
                String.valueOf(file.metadata().string("general.name", architecture)),
                config.layers().size(),
                config.hidden(),
                config.layers().getFirst().feedForward(),
                config.heads(),
                config.caches().getFirst().kvHeads(),
                config.caches().getFirst().headDim(),
                config.vocabulary(),
                file.tensor("output.weight") == null,
                config.contextLength(),
                window,
                config.windowedLayers());
    }

    /** What these dimensions cannot say of a model, in words; null where they say all. */
    private static @Nullable String unknown(ModelConfig config) {
        if (config.isEncoder()) {
            return "The model is an encoder";
        }
        if (config.isMixture()) {
            return "The model is a mixture of experts";
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
        long widths =
                config.layers().stream().mapToInt(Layer::feedForward).distinct().count();
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
        long layer = (long) hidden * (2L * queries() + 2L * keys()) + 3L * hidden * feedForward;
        return layers * layer + (long) vocabulary * hidden;
    }

    /** {@return weights of the model} */
    public long weights() {
        return multipliedWeights() + (tied ? 0 : (long) vocabulary * hidden);
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
