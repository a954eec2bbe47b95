package dev.demitasse;

import dev.demitasse.device.Routing;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.model.Layer;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Recurrent;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Reads a file's {@link ModelShape}. */
final class ShapeReader {
    private final Gguf file;
    private final ModelConfig config;
    private final int layers;
    /** The layers with experts. */
    private final int[] routed;

    private ShapeReader(Gguf file) {
        this.file = file;
        config = Hyperparameters.read(file, 0);
        layers = config.layers().size();
        routed = IntStream.range(0, layers)
                .filter(layer -> down(layer, "_exps") != null)
                .toArray();
    }

    static ModelShape read(Gguf file) {
        return new ShapeReader(file).shape();
    }

    private ModelShape shape() {
        if (config.isEncoder()) {
            throw new UnsupportedModelException("The model is an encoder, which writes no texts: speed is not predicted"
                    + " for it, and channels are not scaled yet.");
        }
        ModelShape.Experts experts = experts();
        ModelConfig.KvLayers heads = config.caches().getFirst();
        return new ModelShape(
                String.valueOf(file.metadata()
                        .string("general.name", config.architecture().key())),
                layers,
                config.hidden(),
                experts != null && experts.denseLayers() == 0 ? experts.active() : feedForward(),
                config.heads(),
                heads.kvHeads(),
                heads.headDim(),
                config.vocabulary(),
                file.tensor("output.weight") == null,
                config.contextLength(),
                attention(),
                states(),
                experts,
                special());
    }

    /** Of layers without experts, on average. */
    private int feedForward() {
        double width = IntStream.range(0, layers)
                .filter(layer -> down(layer, "_exps") == null)
                .map(layer -> config.layers().get(layer).feedForward())
                .average()
                .orElse(0);
        return Math.max(1, (int) Math.round(width));
    }

    private List<ModelShape.Attention> attention() {
        List<ModelShape.Attention> kinds = new ArrayList<>();
        for (int cache = 0; cache < config.caches().size(); cache++) {
            ModelConfig.KvLayers heads = config.caches().get(cache);
            int of = cache;
            List<Layer> all = config.layers().stream()
                    .filter(layer -> layer.mixing() == Layer.Mixing.ATTENTION && layer.cache() == of)
                    .toList();
            int[] windows = all.stream()
                    .mapToInt(layer -> Math.abs(layer.window()))
                    .distinct()
                    .sorted()
                    .toArray();
            for (int window : windows) {
                List<Layer> alike = all.stream()
                        .filter(layer -> Math.abs(layer.window()) == window)
                        .toList();
                int keeping = (int) alike.stream().filter(Layer::appends).count();
                kinds.add(new ModelShape.Attention(alike.size(), keeping, heads.kvHeads(), heads.headDim(), window));
            }
        }
        return kinds;
    }

    private ModelShape.@Nullable States states() {
        Recurrent shape = config.recurrent();
        if (shape == null) {
            return null;
        }
        Layer.Mixing mixing = config.layers().stream()
                .map(Layer::mixing)
                .filter(each -> each != Layer.Mixing.ATTENTION && each != Layer.Mixing.NONE)
                .findFirst()
                .orElseThrow();
        ModelShape.StateRule rule = switch (mixing) {
            case DELTA_NET -> ModelShape.StateRule.DELTA;
            case MAMBA -> ModelShape.StateRule.SCAN;
            default -> ModelShape.StateRule.CONVOLUTION;
        };
        return new ModelShape.States(
                rule,
                shape.layers(),
                shape.channels(),
                shape.kernel(),
                shape.keyHeads(),
                shape.heads(),
                shape.headDim(),
                shape.stateDim(),
                Recurrent.copies());
    }

    private ModelShape.@Nullable Experts experts() {
        Routing routing = config.routing();
        if (routing == null) {
            return null;
        }
        if (routed.length == 0) {
            throw new ModelFormatException("No layer of the model has experts; the file is not a complete model.");
        }
        GgufTensor shared = down(routed[0], "_shexp");
        GgufTensor beside = down(routed[0], "");
        return new ModelShape.Experts(
                routing.experts(),
                routing.used(),
                (int) columns(down(routed[0], "_exps")),
                (int) (columns(shared) + columns(beside)),
                layers - routed.length);
    }

    private static long columns(@Nullable GgufTensor tensor) {
        return tensor == null ? 0 : tensor.columns();
    }

    private @Nullable GgufTensor down(int layer, String of) {
        return file.tensor("blk." + layer + ".ffn_down" + of + ".weight");
    }

    /** What dimensions alone cannot say of the model, in words; null where they say all. */
    private @Nullable String special() {
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
        int dense = layers - routed.length;
        if (config.isMixture() && routed[0] != dense) {
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
}
