package dev.demitasse.model;

import dev.demitasse.device.Buffer;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.device.Routing;
import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.exception.UnsupportedModelException;

/** Reads the feed-forward layers of one file: which kind each is follows from which tensors it has. */
final class FeedForwardReader {
    private final ModelTensors tensors;
    private final ModelConfig config;
    private final int hidden;
    private final boolean gated;

    private FeedForwardReader(ModelTensors tensors, ModelConfig config) {
        this.tensors = tensors;
        this.config = config;
        hidden = config.hidden();
        gated = !config.architecture().traits().ungated;
    }

    /**
     * The layer of a block.
     *
     * @param p begins the names of the block's tensors
     * @param width inner width of a dense layer
     */
    static FeedForward read(ModelTensors tensors, ModelConfig config, String p, int width) {
        return new FeedForwardReader(tensors, config).read(p, width);
    }

    private FeedForward read(String p, int width) {
        String router = p + "ffn_gate_inp.weight";
        String routerScale = p + "ffn_gate_inp.scale";
        if (!tensors.has(router) && tensors.has(p + "ffn_up_exps.weight")) {
            throw ModelTensors.missing(router);
        }
        boolean isDense = !tensors.has(router) || tensors.has(p + "post_ffw_norm_1.weight");
        if (isDense && width < 1) {
            throw new ModelFormatException(
                    "\"" + config.architecture().key() + ".feed_forward_length\" is missing or 0," + " and \"" + p
                            + "\" has a dense feed-forward layer; the file is not a complete model.");
        }
        if (!tensors.has(router)) {
            return dense(p, "", width);
        }
        Routing routing = config.routing();
        if (routing == null) {
            throw new ModelFormatException("Tensor \"" + router + "\" chooses experts; the hyperparameters have none.");
        }
        FeedForward.Experts experts = experts(p, routing);
        if (!isDense) {
            return experts;
        }
        if (experts.shared() != null) {
            throw new UnsupportedModelException("Layer \"" + p + "\" has a dense layer and experts beside each other,"
                    + " and one expert for all tokens; such models are not supported.");
        }
        FeedForward.Dense dense = dense(p, "", width);
        return new FeedForward.DenseAndExperts(
                dense,
                experts,
                tensors.requiredNorm(p + "post_ffw_norm_1", hidden, false, 1),
                new Norm(tensors.vector(routerScale, hidden, (float) (1 / Math.sqrt(hidden))), null),
                tensors.requiredNorm(p + "pre_ffw_norm_2", hidden, false, 1),
                tensors.requiredNorm(p + "post_ffw_norm_2", hidden, false, 1));
    }

    private FeedForward.Experts experts(String p, Routing routing) {
        int count = routing.experts();
        LinearWeight chooser = tensors.matrix(p + "ffn_gate_inp.weight", count, hidden);
        boolean fused = tensors.has(p + "ffn_gate_up_exps.weight");
        String gate = p + (fused ? "ffn_gate_up_exps.weight" : "ffn_gate_exps.weight");
        String up = fused ? gate : p + "ffn_up_exps.weight";
        int parts = fused ? 2 : 1;
        int width = tensors.rowsOfEach(up, count) / parts;
        boolean shared = tensors.has(p + "ffn_up_shexp.weight");
        String sharedGate = p + "ffn_gate_inp_shexp.weight";
        Buffer scales = tensors.scales(p + "ffn_down_exps.weight", count);
        if (scales != null && routing.weighsInputs()) {
            throw new UnsupportedModelException("Layer \"" + p + "\" has weights that multiply what experts are given,"
                    + " and scales of what they return; such models are not supported.");
        }
        return new FeedForward.Experts(
                routing,
                chooser,
                tensors.optional(p + "ffn_gate_inp.bias", count),
                tensors.optional(p + "exp_probs_b.bias", count),
                scales,
                !gated ? null : tensors.group(gate, p + "ffn_gate_exps.bias", count, 0, parts, width, hidden),
                tensors.group(up, p + "ffn_up_exps.bias", count, parts - 1, parts, width, hidden),
                tensors.group(p + "ffn_down_exps.weight", p + "ffn_down_exps.bias", count, 0, 1, hidden, width),
                shared ? shared(p) : null,
                shared && tensors.has(sharedGate) ? tensors.matrix(sharedGate, 1, hidden) : null);
    }

    private FeedForward.Dense dense(String p, String suffix, int width) {
        String up = p + "ffn_up" + suffix;
        if (!gated) {
            ModelTensors.Parts alone = tensors.part(up, width, hidden);
            ModelTensors.Parts down = tensors.part(p + "ffn_down" + suffix, hidden, width);
            return new FeedForward.Dense(
                    null,
                    null,
                    alone.matrices()[0],
                    alone.biases()[0],
                    down.matrices()[0],
                    down.biases()[0],
                    alone.rotated(),
                    down.rotated());
        }
        ModelTensors.Parts input =
                tensors.parts(new String[] {p + "ffn_gate" + suffix, up}, up, new int[] {width, width}, hidden);
        ModelTensors.Parts down = tensors.part(p + "ffn_down" + suffix, hidden, width);
        return new FeedForward.Dense(
                input.matrices()[0],
                input.biases()[0],
                input.matrices()[1],
                input.biases()[1],
                down.matrices()[0],
                down.biases()[0],
                input.rotated(),
                down.rotated());
    }

    /** The expert that all tokens have; what it is given goes to others too, and is not rotated. */
    private FeedForward.Dense shared(String p) {
        FeedForward.Dense shared = dense(p, "_shexp", tensors.rowsOfEach(p + "ffn_up_shexp.weight", 1));
        ModelTensors.requireNotRotated(p + "ffn_up_shexp", shared.rotatedInput());
        return shared;
    }
}
