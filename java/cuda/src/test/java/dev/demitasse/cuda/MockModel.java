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
    /** A model's shape: what its file says, and how large its tensors are. */
    interface Shape {
        String name();

        int vocabulary();

        /** Elements of its largest tensor. */
        long largest();

        /** Writes metadata and tensors, matrices in {@code type}. */
        void write(Tensors to, TensorType type);
    }

    /** Where tensors of zeros go. */
    record Tensors(GgufWriter writer, MemorySegment zeros) {
        /** A tensor that is no matrix, in FP32, or a small one. */
        void floats(String name, long... dimensions) {
            add(name, TensorType.F32, dimensions);
        }

        void add(String name, TensorType type, long... dimensions) {
            writer.tensor(name, type, dimensions, zeros.asSlice(0, bytes(type, elements(dimensions))));
        }

        void string(String key, String value) {
            writer.metadata(key, MetadataValue.of(MetadataType.STRING, value));
        }

        void number(String key, int value) {
            writer.metadata(key, MetadataValue.of(MetadataType.UINT32, value));
        }

        void real(String key, float value) {
            writer.metadata(key, MetadataValue.of(MetadataType.FLOAT32, value));
        }
    }

    static final Shape LLAMA_8B = new Llama("llama-8b", 32, 4096, 14336, 32, 8, 128, 128256, false);
    static final Shape LLAMA_1B = new Llama("llama-1b", 16, 2048, 8192, 32, 8, 64, 128256, true);
    static final Shape GPT_OSS_20B = new GptOss();
    static final Shape QWEN35_35B = new Qwen35Moe();

    /** More than the header of any of them. */
    private static final int HEADER_BYTES = 1 << 20;

    private MockModel() {}

    /** A file of the shape in memory that is mapped, and never written where it is zero. */
    static Gguf file(Shape shape, TensorType type, Path folder, Arena arena) throws IOException {
        Path path = folder.resolve(shape.name() + type + ".gguf");
        try (FileChannel channel = FileChannel.open(
                path, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            // Zeros for every tensor: all read the same pages of a file that has none.
            long most = Float.BYTES * shape.largest(); // of any type
            MemorySegment zeros = channel.map(FileChannel.MapMode.READ_WRITE, 0, most, arena);
            Header header = new Header();
            GgufWriter writer = new GgufWriter(3, 32);
            shape.write(new Tensors(writer, zeros), type);
            writer.write(header);
            channel.write(ByteBuffer.wrap(header.first.toByteArray()), 0);
            channel.write(ByteBuffer.allocate(1), header.bytes - 1);
            return Gguf.parse(path.toString(), channel.map(FileChannel.MapMode.READ_ONLY, 0, header.bytes, arena));
        }
    }

    /** The hyperparameters of a file. */
    static ModelConfig config(Gguf file, Shape shape, int context) {
        return ModelConfig.read(
                file.metadata(), shape.vocabulary(), new RopeFrequencies.Factors(null, null, null), context);
    }

    /** The weights of a file on a device that takes the same matrix for all of one shape. */
    static Weights weights(Gguf file, ModelConfig config, Device device, @Nullable WeightLayout forced) {
        Map<List<Object>, LinearWeight> known = new HashMap<>();
        Map<Object, Object> groups = new HashMap<>();
        Device sharing = (Device) Proxy.newProxyInstance(
                Device.class.getClassLoader(), new Class<?>[] {Device.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("uploadGroup")) {
                        List<?> sources = (List<?>) arguments[0];
                        MatrixSource first = (MatrixSource) sources.getFirst();
                        List<?> biases = (List<?>) arguments[2];
                        Object key = List.of(sources.size(), first.rows(), first.columns(), biases.size());
                        Object group = groups.get(key);
                        if (group == null) {
                            group = method.invoke(device, arguments);
                            groups.put(key, group);
                        }
                        return group;
                    }
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

    /** Llama, as in {@code ModelBenchmark}; {@code tied}: whether the output matrix is the embedding. */
    private record Llama(
            String name,
            int layers,
            int hidden,
            int feedForward,
            int heads,
            int kvHeads,
            int headDim,
            int vocabulary,
            boolean tied)
            implements Shape {
        @Override
        public long largest() {
            return (long) Math.max(vocabulary, feedForward) * hidden;
        }

        @Override
        public void write(Tensors to, TensorType type) {
            to.string("general.architecture", "llama");
            to.number("llama.block_count", layers);
            to.number("llama.embedding_length", hidden);
            to.number("llama.feed_forward_length", feedForward);
            to.number("llama.attention.head_count", heads);
            to.number("llama.attention.head_count_kv", kvHeads);
            to.number("llama.attention.key_length", headDim);
            to.number("llama.context_length", 131072);
            to.real("llama.attention.layer_norm_rms_epsilon", 1e-5f);
            int queries = heads * headDim;
            int keys = kvHeads * headDim;
            to.add("token_embd.weight", type, hidden, vocabulary);
            if (!tied) {
                to.add("output.weight", type, hidden, vocabulary);
            }
            to.floats("output_norm.weight", hidden);
            for (int layer = 0; layer < layers; layer++) {
                String p = "blk." + layer + ".";
                to.floats(p + "attn_norm.weight", hidden);
                to.floats(p + "ffn_norm.weight", hidden);
                to.add(p + "attn_q.weight", type, hidden, queries);
                to.add(p + "attn_k.weight", type, hidden, keys);
                to.add(p + "attn_v.weight", type, hidden, keys);
                to.add(p + "attn_output.weight", type, queries, hidden);
                to.add(p + "ffn_gate.weight", type, hidden, feedForward);
                to.add(p + "ffn_up.weight", type, hidden, feedForward);
                to.add(p + "ffn_down.weight", type, feedForward, hidden);
            }
        }
    }

    /** gpt-oss-20b: experts in the file's type, all else in Q8_0. */
    private record GptOss() implements Shape {
        private static final int LAYERS = 24;
        private static final int HIDDEN = 2880;
        private static final int EXPERTS = 32;
        private static final int WIDTH = 2880;

        @Override
        public String name() {
            return "gpt-oss-20b";
        }

        @Override
        public int vocabulary() {
            return 201088;
        }

        @Override
        public long largest() {
            return (long) vocabulary() * HIDDEN;
        }

        @Override
        public void write(Tensors to, TensorType type) {
            to.string("general.architecture", "gpt-oss");
            to.number("gpt-oss.block_count", LAYERS);
            to.number("gpt-oss.embedding_length", HIDDEN);
            to.number("gpt-oss.feed_forward_length", WIDTH);
            to.number("gpt-oss.attention.head_count", 64);
            to.number("gpt-oss.attention.head_count_kv", 8);
            to.number("gpt-oss.attention.key_length", 64);
            to.number("gpt-oss.attention.value_length", 64);
            to.number("gpt-oss.attention.sliding_window", 128);
            to.number("gpt-oss.context_length", 131072);
            to.real("gpt-oss.attention.layer_norm_rms_epsilon", 1e-5f);
            to.real("gpt-oss.rope.freq_base", 150000);
            to.number("gpt-oss.expert_count", EXPERTS);
            to.number("gpt-oss.expert_used_count", 4);
            to.number("gpt-oss.expert_feed_forward_length", WIDTH);
            to.add("token_embd.weight", TensorType.Q8_0, HIDDEN, vocabulary());
            to.add("output.weight", TensorType.Q8_0, HIDDEN, vocabulary());
            to.floats("output_norm.weight", HIDDEN);
            for (int layer = 0; layer < LAYERS; layer++) {
                String p = "blk." + layer + ".";
                to.floats(p + "attn_norm.weight", HIDDEN);
                to.floats(p + "post_attention_norm.weight", HIDDEN);
                int[] outputs = {4096, 512, 512};
                for (int i = 0; i < outputs.length; i++) {
                    String name = p + "attn_" + "qkv".charAt(i);
                    to.add(name + ".weight", TensorType.Q8_0, HIDDEN, outputs[i]);
                    to.floats(name + ".bias", outputs[i]);
                }
                to.add(p + "attn_output.weight", TensorType.Q8_0, 4096, HIDDEN);
                to.floats(p + "attn_output.bias", HIDDEN);
                to.floats(p + "attn_sinks.weight", 64);
                to.floats(p + "ffn_gate_inp.weight", HIDDEN, EXPERTS);
                to.floats(p + "ffn_gate_inp.bias", EXPERTS);
                for (String each : List.of("gate", "up", "down")) {
                    to.add(p + "ffn_" + each + "_exps.weight", type, HIDDEN, WIDTH, EXPERTS);
                    to.floats(p + "ffn_" + each + "_exps.bias", WIDTH, EXPERTS);
                }
            }
        }
    }

    /** Qwen3.6-35B-A3B: three layers of four have a gated delta net. */
    private record Qwen35Moe() implements Shape {
        private static final int LAYERS = 40;
        private static final int HIDDEN = 2048;
        private static final int EXPERTS = 256;
        private static final int WIDTH = 512;
        private static final int HEADS = 32; // of delta nets
        private static final int KEY_HEADS = 16;
        private static final int DIM = 128;

        @Override
        public String name() {
            return "qwen3.6-35b-a3b";
        }

        @Override
        public int vocabulary() {
            return 248320;
        }

        @Override
        public long largest() {
            return (long) vocabulary() * HIDDEN;
        }

        @Override
        public void write(Tensors to, TensorType type) {
            String a = "qwen35moe.";
            to.string("general.architecture", "qwen35moe");
            to.number(a + "block_count", LAYERS);
            to.number(a + "embedding_length", HIDDEN);
            to.number(a + "feed_forward_length", WIDTH);
            to.number(a + "attention.head_count", 16);
            to.number(a + "attention.head_count_kv", 2);
            to.number(a + "attention.key_length", 256);
            to.number(a + "attention.value_length", 256);
            to.number(a + "rope.dimension_count", 64);
            to.number(a + "context_length", 262144);
            to.real(a + "attention.layer_norm_rms_epsilon", 1e-6f);
            to.real(a + "rope.freq_base", 1e7f);
            to.number(a + "ssm.conv_kernel", 4);
            to.number(a + "ssm.state_size", DIM);
            to.number(a + "ssm.group_count", KEY_HEADS);
            to.number(a + "ssm.time_step_rank", HEADS);
            to.number(a + "ssm.inner_size", HEADS * DIM);
            to.number(a + "full_attention_interval", 4);
            to.number(a + "expert_count", EXPERTS);
            to.number(a + "expert_used_count", 8);
            to.number(a + "expert_feed_forward_length", WIDTH);
            to.number(a + "expert_shared_feed_forward_length", WIDTH);
            to.add("token_embd.weight", type, HIDDEN, vocabulary());
            to.add("output.weight", type, HIDDEN, vocabulary());
            to.floats("output_norm.weight", HIDDEN);
            for (int layer = 0; layer < LAYERS; layer++) {
                String p = "blk." + layer + ".";
                to.floats(p + "attn_norm.weight", HIDDEN);
                to.floats(p + "post_attention_norm.weight", HIDDEN);
                if (layer % 4 == 3) {
                    attention(to, type, p);
                } else {
                    deltaNet(to, type, p);
                }
                to.floats(p + "ffn_gate_inp.weight", HIDDEN, EXPERTS);
                to.floats(p + "ffn_gate_inp_shexp.weight", HIDDEN);
                for (String each : List.of("gate", "up")) {
                    to.add(p + "ffn_" + each + "_exps.weight", type, HIDDEN, WIDTH, EXPERTS);
                    to.add(p + "ffn_" + each + "_shexp.weight", type, HIDDEN, WIDTH);
                }
                to.add(p + "ffn_down_exps.weight", type, WIDTH, HIDDEN, EXPERTS);
                to.add(p + "ffn_down_shexp.weight", type, WIDTH, HIDDEN);
            }
        }

        private static void attention(Tensors to, TensorType type, String p) {
            to.add(p + "attn_q.weight", type, HIDDEN, 2 * 16 * 256); // with gates
            to.add(p + "attn_k.weight", type, HIDDEN, 2 * 256);
            to.add(p + "attn_v.weight", type, HIDDEN, 2 * 256);
            to.add(p + "attn_output.weight", type, 16 * 256, HIDDEN);
            to.floats(p + "attn_q_norm.weight", 256);
            to.floats(p + "attn_k_norm.weight", 256);
        }

        private static void deltaNet(Tensors to, TensorType type, String p) {
            int channels = (2 * KEY_HEADS + HEADS) * DIM;
            to.add(p + "attn_qkv.weight", type, HIDDEN, channels);
            to.add(p + "attn_gate.weight", type, HIDDEN, HEADS * DIM);
            to.floats(p + "ssm_conv1d.weight", 4, channels);
            to.floats(p + "ssm_dt.bias", HEADS);
            to.floats(p + "ssm_a", HEADS);
            to.add(p + "ssm_beta.weight", type, HIDDEN, HEADS);
            to.add(p + "ssm_alpha.weight", type, HIDDEN, HEADS);
            to.floats(p + "ssm_norm.weight", DIM);
            to.add(p + "ssm_out.weight", type, HEADS * DIM, HIDDEN);
        }
    }

    private static long elements(long... dimensions) {
        long elements = 1;
        for (long dimension : dimensions) {
            elements *= dimension;
        }
        return elements;
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
