package dev.demitasse;

import dev.demitasse.exception.UsageException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.kv.KvShape;
import dev.demitasse.kv.KvType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The dimensions of a model that writes texts: what decides how much a forward pass reads and computes.
 *
 * @param name what it is called
 * @param layers transformer blocks
 * @param hidden width of the residual stream
 * @param feedForward inner width of the feed-forward layers without experts, on average; where all have experts, of
 *     what a token has of them
 * @param heads query heads
 * @param kvHeads key and value heads, of the first layers with attention
 * @param headDim elements of a head of these
 * @param vocabulary tokens
 * @param tied whether the embedding is the output matrix too
 * @param contextLength positions that the model was trained for
 * @param attention layers with attention, by what they keep and see; at least one
 * @param states of layers with a state; null where there are none
 * @param experts of layers with experts; null where there are none
 * @param special what these dimensions do not say of the model's matrices, in words; null where they say all: each
 *     layer has queries, keys, values and their output, and a gated feed-forward layer
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
        List<Attention> attention,
        @Nullable States states,
        @Nullable Experts experts,
        @Nullable String special) {
    /**
     * Layers whose attention is alike.
     *
     * @param layers how many they are
     * @param keeping how many of them keep keys and values; the others read those of an earlier one
     * @param kvHeads key and value heads
     * @param headDim elements of a head
     * @param window positions that a row sees at most; 0 for all
     */
    public record Attention(int layers, int keeping, int kvHeads, int headDim, int window) {
        /** Checks that there can be such layers. */
        public Attention {
            if (layers < 1 || keeping < 0 || keeping > layers || kvHeads < 1 || headDim < 1 || window < 0) {
                throw new UsageException("No model has " + layers + " layers with attention, of which " + keeping
                        + " keep " + kvHeads + " heads of " + headDim + ", and a window of " + window + ".");
            }
        }

        /**
         * {@return positions that a row sees}
         *
         * @param position of the row, from 0
         */
        public double seen(int position) {
            return window == 0 ? position + 1.0 : Math.min(position + 1.0, window);
        }

        /** Bytes of the keys and values that so many of the layers have. */
        private long bytes(int of, KvType type, int positions) {
            int pages = Math.ceilDiv(positions, KvShape.PAGE);
            return of == 0 ? 0 : 2 * new KvShape(of, kvHeads, headDim, pages, type).bytes();
        }
    }

    /** How a layer with a state comes to its next one. */
    public enum StateRule {
        /** By a causal convolution alone. */
        CONVOLUTION,
        /** By that, and a gated delta rule. */
        DELTA,
        /** By that, and a selective scan. */
        SCAN
    }

    /**
     * Layers with a state of a fixed size.
     *
     * @param rule how they come to the next one
     * @param layers how many there are
     * @param channels of the convolution
     * @param kernel positions that it sees
     * @param keyHeads heads of keys, of a scan: groups; 0 where there is a convolution alone
     * @param heads of values
     * @param headDim elements of a head
     * @param stateDim elements of a head's keys
     * @param copies how many of it a session holds
     */
    public record States(
            StateRule rule,
            int layers,
            int channels,
            int kernel,
            int keyHeads,
            int heads,
            int headDim,
            int stateDim,
            int copies) {
        /** {@return numbers of a session's state in a layer} */
        public long elements() {
            return (kernel - 1L) * channels + (long) heads * headDim * stateDim;
        }

        /** {@return bytes of a session's states in all layers: a step reads and writes them} */
        public long bytes() {
            return layers * elements() * Float.BYTES;
        }

        /** {@return bytes of all that a session holds of them} */
        public long sessionBytes() {
            return copies * bytes();
        }
    }

    /**
     * Experts, of which each token has a few.
     *
     * @param count how many a layer has
     * @param used how many of them a token has
     * @param inner inner width of one
     * @param shared inner width of what all tokens have beside them; 0 for nothing
     * @param denseLayers layers without experts
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
        attention = List.copyOf(attention);
        int least = Math.min(
                Math.min(Math.min(layers, hidden), Math.min(feedForward, heads)),
                Math.min(Math.min(kvHeads, headDim), Math.min(vocabulary, contextLength)));
        int attending = attention.stream().mapToInt(Attention::layers).sum();
        int keeping = attention.stream().mapToInt(Attention::keeping).sum();
        boolean layered = keeping >= 1 && attending <= layers && (experts == null || experts.denseLayers < layers);
        if (least < 1 || heads % kvHeads != 0 || !layered) {
            throw new UsageException("No model has the dimensions of \"" + name + "\": layers " + layers + ", with"
                    + " attention " + attending + ", hidden " + hidden + ", feed-forward " + feedForward + ", heads "
                    + heads + " and " + kvHeads + " of " + headDim + ", vocabulary " + vocabulary + ", context "
                    + contextLength + ".");
        }
    }

    /**
     * {@return dimensions that say all of a model whose layers are alike}
     *
     * @param name what it is called
     * @param layers transformer blocks
     * @param hidden width of the residual stream
     * @param feedForward inner width of the feed-forward layers, as {@link #feedForward}
     * @param heads query heads
     * @param kvHeads key and value heads
     * @param headDim elements of a head
     * @param vocabulary tokens
     * @param tied whether the embedding is the output matrix too
     * @param contextLength positions that the model was trained for
     * @param window positions that a layer with a window sees; 0 where none has one
     * @param windowedLayers layers with a window
     * @param experts of layers with experts, which come behind those without; null where there are none
     */
    public static ModelShape uniform(
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
        List<Attention> attention = new ArrayList<>();
        if (windowedLayers < layers) {
            attention.add(new Attention(layers - windowedLayers, layers - windowedLayers, kvHeads, headDim, 0));
        }
        if (windowedLayers > 0) {
            attention.add(new Attention(windowedLayers, windowedLayers, kvHeads, headDim, window));
        }
        return new ModelShape(
                name,
                layers,
                hidden,
                feedForward,
                heads,
                kvHeads,
                headDim,
                vocabulary,
                tied,
                contextLength,
                attention,
                null,
                experts,
                null);
    }

    /**
     * {@return the dimensions of an open file}
     *
     * @param file an open model
     * @throws dev.demitasse.exception.ModelFormatException where it is damaged
     * @throws dev.demitasse.exception.UnsupportedModelException where its architecture is not supported, or writes no
     *     texts
     */
    public static ModelShape of(Gguf file) {
        return ShapeReader.read(file);
    }

    /** {@return elements of all heads' queries of a position, in the first layers with attention} */
    public int queries() {
        return heads * headDim;
    }

    /** {@return elements of a position's keys, or of its values, in these} */
    public int keys() {
        return kvHeads * headDim;
    }

    /** {@return inner width of what a token has of a feed-forward layer, on average over the layers} */
    public double inner() {
        if (experts == null) {
            return feedForward;
        }
        double dense = (double) experts.denseLayers * feedForward;
        return (dense + (double) routedLayers() * experts.active()) / layers;
    }

    /** {@return layers with experts} */
    public int routedLayers() {
        return experts == null ? 0 : layers - experts.denseLayers;
    }

    /** {@return layers with attention} */
    public int attendingLayers() {
        return attention.stream().mapToInt(Attention::layers).sum();
    }

    /**
     * {@return bytes of the keys and values of {@code positions} positions in all layers, in whole pages}
     *
     * @param type how keys and values are stored
     * @param positions how many positions
     */
    public long cacheBytes(KvType type, int positions) {
        return attention.stream()
                .mapToLong(each -> each.bytes(each.keeping, type, positions))
                .sum();
    }

    /**
     * {@return bytes that a session takes: keys and values, and its states with what is kept of them}
     *
     * @param type how keys and values are stored
     * @param positions how many positions
     */
    public long sessionBytes(KvType type, int positions) {
        return cacheBytes(type, positions) + (states == null ? 0 : states.sessionBytes());
    }

    /**
     * {@return bytes that attention of a row at {@code position} reads, in all layers}
     *
     * @param type how keys and values are stored
     * @param position of the row, from 0
     */
    public double readBytes(KvType type, int position) {
        return attention.stream()
                .mapToDouble(each ->
                        each.bytes(each.layers, type, KvShape.PAGE) / (double) KvShape.PAGE * each.seen(position))
                .sum();
    }

    /**
     * {@return elements of query heads times the positions that a row at {@code position} sees, in all layers}
     *
     * @param position of the row, from 0
     */
    public double attended(int position) {
        return attention.stream()
                .mapToDouble(each -> (double) heads * each.headDim * each.layers * each.seen(position))
                .sum();
    }
}
