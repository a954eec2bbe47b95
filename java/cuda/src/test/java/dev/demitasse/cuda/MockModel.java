package dev.demitasse.cuda;

import dev.demitasse.device.Device;
import dev.demitasse.device.LinearWeight;
import dev.demitasse.gguf.Gguf;
import dev.demitasse.gguf.GgufWriter;
import dev.demitasse.gguf.MetadataType;
import dev.demitasse.gguf.MetadataValue;
import dev.demitasse.model.ModelConfig;
import dev.demitasse.model.RopeFrequencies;
import dev.demitasse.model.Weights;
import dev.demitasse.quant.MatrixSource;
import dev.demitasse.quant.TensorType;
import dev.demitasse.quant.WeightLayout;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Models of well-known shapes whose weights are all zero: a file without blocks on the disk, and on the device one
 * matrix for all of the same shape. What a step launches depends on shapes alone.
 */
final class MockModel {
    /**
     * A model's shape, as in {@code ModelBenchmark}.
     *
     * @param tied whether the output matrix is the embedding
     */
    record Shape(
            String name,
            int layers,
            int hidden,
            int feedForward,
            int heads,
            int kvHeads,
            int headDim,
            int vocabulary,
            boolean tied) {}

    static final Shape LLAMA_8B = new Shape("llama-8b", 32, 4096, 14336, 32, 8, 128, 128256, false);
    static final Shape LLAMA_1B = new Shape("llama-1b", 16, 2048, 8192, 32, 8, 64, 128256, true);

    /** More than the header of any of them. */
    private static final int HEADER_BYTES = 1 << 20;

    private MockModel() {}

    /** A file of the shape in memory that is mapped, and never written where it is zero. */
    static Gguf file(Shape shape, TensorType type, Path folder, Arena arena) throws IOException {
        Path path = folder.resolve(shape.name + type + ".gguf");
        try (FileChannel channel = FileChannel.open(
                path, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            // Zeros for every tensor: all read the same pages of a file that has none.
            long widest = Math.max((long) shape.vocabulary, shape.feedForward) * shape.hidden;
            MemorySegment zeros = channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes(type, widest), arena);
            Header header = new Header();
            writer(shape, type, zeros).write(header);
            channel.write(ByteBuffer.wrap(header.first.toByteArray()), 0);
            channel.write(ByteBuffer.allocate(1), header.bytes - 1);
            return Gguf.parse(path.toString(), channel.map(FileChannel.MapMode.READ_ONLY, 0, header.bytes, arena));
        }
    }

    /** The hyperparameters of a file. */
    static ModelConfig config(Gguf file, Shape shape, int context) {
        return ModelConfig.read(
                file.metadata(), shape.vocabulary, new RopeFrequencies.Factors(null, null, null), context);
    }

    /** The weights of a file on a device that takes the same matrix for all of one shape. */
    static Weights weights(Gguf file, ModelConfig config, Device device, @Nullable WeightLayout forced) {
        Map<List<Object>, LinearWeight> known = new HashMap<>();
        Device sharing = (Device) Proxy.newProxyInstance(
                Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, arguments) -> {
                    if (arguments != null && arguments[0] instanceof MatrixSource source) {
                        WeightLayout layout = (WeightLayout) arguments[1];
                        return known.computeIfAbsent(
                                List.of(source.rows(), source.columns()), shape -> device.upload(source, layout));
                    }
                    try {
                        return method.invoke(device, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
        return new Weights(file, config, sharing, forced);
    }

    private static GgufWriter writer(Shape shape, TensorType type, MemorySegment zeros) {
        GgufWriter writer = new GgufWriter(3, 32);
        writer.metadata("general.architecture", MetadataValue.of(MetadataType.STRING, "llama"));
        writer.metadata("llama.block_count", MetadataValue.of(MetadataType.UINT32, shape.layers));
        writer.metadata("llama.embedding_length", MetadataValue.of(MetadataType.UINT32, shape.hidden));
        writer.metadata("llama.feed_forward_length", MetadataValue.of(MetadataType.UINT32, shape.feedForward));
        writer.metadata("llama.attention.head_count", MetadataValue.of(MetadataType.UINT32, shape.heads));
        writer.metadata("llama.attention.head_count_kv", MetadataValue.of(MetadataType.UINT32, shape.kvHeads));
        writer.metadata("llama.attention.key_length", MetadataValue.of(MetadataType.UINT32, shape.headDim));
        writer.metadata("llama.context_length", MetadataValue.of(MetadataType.UINT32, 131072));
        writer.metadata("llama.attention.layer_norm_rms_epsilon", MetadataValue.of(MetadataType.FLOAT32, 1e-5f));
        int queries = shape.heads * shape.headDim;
        int keys = shape.kvHeads * shape.headDim;
        tensor(writer, zeros, type, "token_embd", shape.hidden, shape.vocabulary);
        if (!shape.tied) {
            tensor(writer, zeros, type, "output", shape.hidden, shape.vocabulary);
        }
        tensor(writer, zeros, TensorType.F32, "output_norm", shape.hidden);
        for (int layer = 0; layer < shape.layers; layer++) {
            String p = "blk." + layer + ".";
            tensor(writer, zeros, TensorType.F32, p + "attn_norm", shape.hidden);
            tensor(writer, zeros, TensorType.F32, p + "ffn_norm", shape.hidden);
            tensor(writer, zeros, type, p + "attn_q", shape.hidden, queries);
            tensor(writer, zeros, type, p + "attn_k", shape.hidden, keys);
            tensor(writer, zeros, type, p + "attn_v", shape.hidden, keys);
            tensor(writer, zeros, type, p + "attn_output", queries, shape.hidden);
            tensor(writer, zeros, type, p + "ffn_gate", shape.hidden, shape.feedForward);
            tensor(writer, zeros, type, p + "ffn_up", shape.hidden, shape.feedForward);
            tensor(writer, zeros, type, p + "ffn_down", shape.feedForward, shape.hidden);
        }
        return writer;
    }

    private static void tensor(
            GgufWriter writer, MemorySegment zeros, TensorType type, String name, long... dimensions) {
        long elements = 1;
        for (long dimension : dimensions) {
            elements *= dimension;
        }
        writer.tensor(name + ".weight", type, dimensions, zeros.asSlice(0, bytes(type, elements)));
    }

    private static long bytes(TensorType type, long elements) {
        return elements / type.blockElements() * type.blockBytes();
    }

    /** Keeps the beginning of what is written, and counts the zeros after it. */
    private static final class Header extends OutputStream {
        private final ByteArrayOutputStream first = new ByteArrayOutputStream();
        private long bytes;

        @Override
        public void write(int value) {
            write(new byte[] {(byte) value}, 0, 1);
        }

        @Override
        public void write(byte[] values, int from, int count) {
            if (bytes < HEADER_BYTES) {
                first.write(values, from, count);
            }
            bytes += count;
        }
    }
}
