package dev.demitasse;

import dev.demitasse.device.Routing;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Recurrent;
import dev.demitasse.model.Weights;
import java.util.Set;

/**
 * What running a model takes, told from its file before anything is loaded.
 *
 * @param parameters numbers of the model in all, without blocks that are not run
 * @param activeParameters those that a token is computed with: of experts as many as a token has, and of tables
 *     of tokens one row, unless one is the output matrix too
 * @param bytesPerToken bytes of the file that those take
 * @param cacheBytesPerPosition bytes that a position of a sequence takes in a cache of 16-bit numbers, with those of
 *     the draft block
 * @param stateBytes bytes that a sequence's states take, what is saved of them included; 0 where layers have none
 * @param draftBytes bytes of the file that the block has that drafts tokens; 0 where there is none
 */
public record ModelSize(
        long parameters,
        long activeParameters,
        long bytesPerToken,
        long cacheBytesPerPosition,
        long stateBytes,
        long draftBytes) {
    private static final Set<String> TABLES =
            Set.of("per_layer_token_embd.weight", "position_embd.weight", "token_types.weight");

    /**
     * {@return the size of an open file's model}
     *
     * @param file an open model
     * @throws dev.demitasse.exception.ModelFormatException where it is damaged
     * @throws dev.demitasse.exception.UnsupportedModelException where its architecture is not supported
     */
    public static ModelSize of(Gguf file) {
        ModelConfig config = Hyperparameters.read(file, 0);
        Routing routing = config.routing();
        boolean tied = file.tensor("output.weight") == null;
        long parameters = 0;
        double active = 0;
        double bytes = 0;
        boolean drafts = Weights.hasDraftBlock(file, config);
        long draftBytes = 0;
        for (GgufTensor tensor : file.tensors()) {
            if (config.isOfSkippedBlock(tensor.name())) {
                boolean drafting = drafts && tensor.name().startsWith(Weights.draftNames(config));
                draftBytes += drafting ? tensor.data().byteSize() : 0;
                continue;
            }
            double share = 1;
            if (routing != null && tensor.name().contains("_exps.")) {
                share = (double) routing.used() / routing.experts();
            } else if (tensor.name().equals("token_embd.weight") && (!tied || !config.causal())
                    || TABLES.contains(tensor.name())) {
                share = 1.0 / tensor.rows();
            }
            parameters += tensor.elements();
            active += share * tensor.elements();
            bytes += share * tensor.data().byteSize();
        }
        Recurrent recurrent = config.recurrent();
        return new ModelSize(
                parameters,
                Math.round(active),
                Math.round(bytes),
                config.kvBytesPerPosition(drafts),
                recurrent == null ? 0 : recurrent.bytesPerSequence(),
                draftBytes);
    }
}
