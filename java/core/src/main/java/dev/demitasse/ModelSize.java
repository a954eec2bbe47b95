package dev.demitasse;

import dev.demitasse.device.Device;
import dev.demitasse.device.DeviceOptions;
import dev.demitasse.device.Routing;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufTensor;
import dev.demitasse.kv.KvType;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.Recurrent;
import dev.demitasse.model.Weights;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What running a model takes, told from its file before anything is loaded.
 *
 * @param parameters numbers of the model in all, without blocks that are not run
 * @param activeParameters those that a token is computed with: of experts as many as a token has, and of tables
 *     of tokens one row, unless one is the output matrix too
 * @param bytesPerToken bytes of the file that those take
 * @param gpuBytes bytes that the weights take on a GPU, about, without blocks that are not run: types that no kernel
 *     reads are INT8 or INT4 of the same values there, and superblocks' scales are numbers of 32 bits. {@link
 *     #deviceBytes} tells it of any device that is here
 * @param contextLength positions that the model was trained for
 * @param cacheBytesPerPosition bytes that a position of a sequence takes, by the type of the cache, with those of the
 *     draft block
 * @param stateBytes bytes that a sequence's states take, what is saved of them included; 0 where layers have none
 * @param draftBytes bytes of the file that the block has that drafts tokens; 0 where there is none
 */
public record ModelSize(
        long parameters,
        long activeParameters,
        long bytesPerToken,
        long gpuBytes,
        int contextLength,
        Map<KvType, Long> cacheBytesPerPosition,
        long stateBytes,
        long draftBytes) {
    private static final int LEVEL_BITS = 4;
    private static final int GPU_GROUP = 32;
    /** Elements of the longest blocks with scales of 16 bits; longer ones' are products, which need 32. */
    private static final int BLOCK = 64;

    private static final Set<String> TABLES =
            Set.of("per_layer_token_embd.weight", "position_embd.weight", "token_types.weight");

    /** Copies the map. */
    public ModelSize {
        cacheBytesPerPosition = Map.copyOf(cacheBytesPerPosition);
    }

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
        long gpuBytes = 0;
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
            gpuBytes += gpuBytes(tensor);
        }
        Recurrent recurrent = config.recurrent();
        return new ModelSize(
                parameters,
                Math.round(active),
                Math.round(bytes),
                gpuBytes,
                config.contextLength(),
                Arrays.stream(KvType.values())
                        .collect(Collectors.toMap(type -> type, type -> config.kvBytesPerPosition(type, drafts))),
                recurrent == null ? 0 : recurrent.bytesPerSequence(),
                draftBytes);
    }

    /**
     * {@return bytes that a model's weights take on a device, about, without blocks that are not run: some rows of one
     * matrix of each type are uploaded, and closed again}
     *
     * @param file an open model
     * @param device an open device
     * @throws dev.demitasse.exception.ModelFormatException where the file is damaged
     * @throws dev.demitasse.exception.UnsupportedModelException where its architecture is not supported
     */
    public static long deviceBytes(Gguf file, Device device) {
        return new WeightSample(file, device, null).bytes(Hyperparameters.read(file, 0), false);
    }

    /**
     * {@return the same on a device that is opened for it, as a load of the file would open it}
     *
     * @param file an open model
     * @param backend a backend's name, or {@code auto}
     * @param options how to open the device
     * @throws dev.demitasse.exception.BackendUnavailableException where it cannot be opened
     */
    public static long deviceBytes(Gguf file, String backend, DeviceOptions options) {
        try (Device device = Devices.open(backend, ModelLoader.asFileSays(file.metadata(), options))) {
            return deviceBytes(file, device);
        }
    }

    /**
     * {@return bytes that a tensor takes on a GPU, about}
     *
     * @param tensor of a model's file
     */
    public static long gpuBytes(GgufTensor tensor) {
        TensorType type = tensor.type();
        WeightLayout layout = type.layout();
        if (tensor.dimensions().length == 1) {
            return tensor.elements() * Float.BYTES;
        }
        if (!layout.element().quantized()) {
            return tensor.data().byteSize();
        }
        int bits = type.levels() == null ? layout.element().bits() : LEVEL_BITS;
        int group = layout.group() == WeightLayout.ROW ? GPU_GROUP : Math.min(layout.group(), GPU_GROUP);
        int scale = (type.blockElements() > BLOCK ? Float.SIZE : Short.SIZE) * (layout.minimum() ? 2 : 1);
        return tensor.elements() * (bits * group + scale) / group / Byte.SIZE;
    }
}
